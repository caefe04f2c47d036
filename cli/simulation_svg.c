/* SPDX-License-Identifier: Apache-2.0 */
/* simulation_svg.c - the results of `bpctl simulate` as a picture: what is paid against how long is waited (below and
 * to the left is better), then fleet and queue of each policy over the first trace. */
#include "simulation.h"

#include "log/err.h"
#include <errno.h>
#include <math.h>
#include <string.h>

#define WIDTH  960
#define LEFT   70
#define RIGHT  930
#define PARETO 420 /* height of the first part */
#define PANEL  150 /* of each policy's */
#define LINES  12  /* most policies that are drawn over time */

static const char *const colours[] = {"#1b6ca8", "#c8553d", "#2e8540", "#8e44ad", "#b8860b",
                                      "#008b8b", "#d6336c", "#5c5c5c", "#6a8d00", "#3f51b5"};
#define COLOUR(i) colours[(i) % (sizeof colours / sizeof colours[0])]

struct frame {
    double x0, x1, y0, y1;             /* on the page, y0 below */
    double from_x, to_x, from_y, to_y; /* what is shown */
};

static double at_x(const struct frame *f, double v)
{
    return f->x0 + (f->x1 - f->x0) * (f->to_x > f->from_x ? (v - f->from_x) / (f->to_x - f->from_x) : 0.5);
}

static double at_y(const struct frame *f, double v)
{
    return f->y0 + (f->y1 - f->y0) * (f->to_y > f->from_y ? (v - f->from_y) / (f->to_y - f->from_y) : 0.5);
}

static void text(FILE *out, double x, double y, const char *more, const char *words)
{
    fprintf(out, "<text x='%.1f' y='%.1f' %s>", x, y, more);
    for (; *words; words++) {
        if (*words == '<' || *words == '&' || *words == '>')
            fprintf(out, "&#%d;", *words);
        else
            fputc((unsigned char)*words < ' ' ? '?' : *words, out);
    }
    fputs("</text>\n", out);
}

/* A step of 1, 2 or 5 times a power of ten that divides the range into at most six. */
static double step_of(double range)
{
    double raw = range / 6, ten = pow(10, floor(log10(raw > 0 ? raw : 1)));
    return raw <= ten ? ten : raw <= 2 * ten ? 2 * ten : raw <= 5 * ten ? 5 * ten : 10 * ten;
}

static void axes(FILE *out, const struct frame *f)
{
    char number[32];
    double step = step_of(f->to_x - f->from_x);
    fprintf(out, "<rect x='%.1f' y='%.1f' width='%.1f' height='%.1f' fill='none' stroke='#bbb'/>\n", f->x0, f->y1,
            f->x1 - f->x0, f->y0 - f->y1);
    for (int i = (int)ceil(f->from_x / step); i * step <= f->to_x; i++) {
        double v = i * step;
        snprintf(number, sizeof number, "%g", v);
        text(out, at_x(f, v), f->y0 + 14, "text-anchor='middle'", number);
    }
    step = step_of(f->to_y - f->from_y);
    for (int i = (int)ceil(f->from_y / step); i * step <= f->to_y; i++) {
        double v = i * step;
        snprintf(number, sizeof number, "%g", v);
        text(out, f->x0 - 6, at_y(f, v) + 4, "text-anchor='end'", number);
        fprintf(out, "<line x1='%.1f' x2='%.1f' y1='%.1f' y2='%.1f' stroke='#eee'/>\n", f->x0, f->x1, at_y(f, v),
                at_y(f, v));
    }
}

/* Nobody else is cheaper and faster. */
static int is_best(const struct simulation *s, uint32_t at)
{
    struct simulate_result r = simulation_mean(s, 0, at);
    for (uint32_t i = 0; i < s->n_cases; i++) {
        struct simulate_result o = simulation_mean(s, 0, i);
        if (s->cases[i].policy_or_null && o.hours <= r.hours && o.wait_p95_s <= r.wait_p95_s &&
            (o.hours < r.hours || o.wait_p95_s < r.wait_p95_s))
            return 0;
    }
    return 1;
}

static void pareto(const struct simulation *s, FILE *out)
{
    struct frame f = {LEFT, RIGHT, PARETO - 50, 50, 0, 1, 0, 1};
    char words[160];
    for (uint32_t i = 0; i < s->n_cases; i++) {
        struct simulate_result r = simulation_mean(s, 0, i);
        f.to_x = fmax(f.to_x, r.hours * 1.15);
        f.to_y = fmax(f.to_y, r.wait_p95_s * 1.1);
    }
    snprintf(words, sizeof words, "%s: instance-hours and p95 wait in seconds", s->traces[0].name);
    text(out, LEFT, 30, "class='title'", words);
    axes(out, &f);
    for (uint32_t i = 0; i < s->n_cases; i++) {
        const struct sim_case *c = &s->cases[i];
        struct simulate_result r = simulation_mean(s, 0, i);
        double x = at_x(&f, r.hours), y = at_y(&f, r.wait_p95_s);
        fprintf(out, "<circle cx='%.1f' cy='%.1f' r='5' fill='%s' stroke='%s' stroke-width='2'/>\n", x, y,
                is_best(s, i) ? COLOUR(i) : "#fff", COLOUR(i));
        snprintf(words, sizeof words, "%s %s", c->policy, c->point);
        text(out, x + 8, y - 6, "", words);
    }
}

static void curve(FILE *out, const struct frame *f, const struct simulate_timeline *t, int queue, const char *colour)
{
    fprintf(out, "<polyline fill='none' stroke='%s' stroke-width='1.2' points='", colour);
    for (uint32_t i = 0; i < t->n; i++) {
        const struct simulate_point *p = &t->points[i];
        fprintf(out, "%.1f,%.1f ", at_x(f, p->at_s / 3600), at_y(f, queue ? (double)p->queued : p->live));
    }
    fputs("'/>\n", out);
}

static void panel(const struct simulation *s, uint32_t at, double top, FILE *out)
{
    const struct simulate_timeline *t = &s->timelines[at];
    const struct sim_case *c = &s->cases[at];
    struct frame f = {LEFT, RIGHT, top + PANEL - 25, top + 22, 0, 1, 0, 1}, q;
    char words[256];
    uint32_t most = 1;
    for (uint32_t i = 0; i < t->n; i++) {
        f.to_x = fmax(f.to_x, t->points[i].at_s / 3600);
        f.to_y = fmax(f.to_y, t->points[i].live);
        most = t->points[i].queued > most ? t->points[i].queued : most;
    }
    q = f;
    q.to_y = most;
    snprintf(words, sizeof words, "%s%s%s: instances over hours (line), queue (grey, up to %u)", c->policy,
             c->point[0] ? " " : "", c->point, most);
    text(out, LEFT, top + 14, "class='title'", words);
    axes(out, &f);
    curve(out, &q, t, 1, "#c4c4c4");
    curve(out, &f, t, 0, COLOUR(at));
}

int simulation_svg(const struct simulation *s, const char *file, struct bp_err *err)
{
    uint32_t panels = 0;
    FILE *out = fopen(file, "w");
    if (!out)
        return err_set(err, BP_IO, "cannot write %s: %s", file, strerror(errno));
    for (uint32_t i = 0; i < s->n_cases; i++)
        panels += s->cases[i].policy_or_null && panels < LINES;
    fprintf(out,
            "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%u' viewBox='0 0 %d %u'>\n"
            "<style>text{font:11px sans-serif;fill:#333}.title{font-size:13px}</style>\n"
            "<rect width='100%%' height='100%%' fill='#fff'/>\n",
            WIDTH, PARETO + panels * PANEL, WIDTH, PARETO + panels * PANEL);
    pareto(s, out);
    for (uint32_t i = 0, n = 0; i < s->n_cases && n < panels; i++)
        if (s->cases[i].policy_or_null)
            panel(s, i, PARETO + n++ * PANEL, out);
    fputs("</svg>\n", out);
    int bad = ferror(out);
    if (fclose(out) != 0 || bad)
        return err_set(err, BP_IO, "cannot write %s: %s", file, strerror(errno));
    return BP_OK;
}
