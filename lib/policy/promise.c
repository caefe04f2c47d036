/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/promise.h"

#include "policy/dice.h"
#include "policy/number.h"
#include <string.h>

#define CERTAIN     0.95
#define HALF        0.5
#define STEP        0.3 /* of the log odds, for a job */
#define MIDDLE_STEP 0.1 /* of those of the median */
#define ROW         40  /* promises kept in a row, beyond which steps down grow ... */
#define HASTE_MOST  4.0 /* ... to so many, ... */
#define OPEN_FEW    2   /* ... while no more than these are open */
#define WEIGHT_MOST 8
#define SHIFT_LEAST (-9.0)
#define SHIFT_MOST  7.0
#define MIDDLE_MOST 9.0
#define DRAWN_LEAST 0.01 /* quantiles that some 200 draws can tell; below it the time itself shrinks, ... */
#define DRAWN_MOST  0.99 /* ... beyond it the distance from the median grows */
#define STRETCH     0.5  /* of its logarithm, for each of the log odds */
#define KEPT_OVER   200  /* jobs */

const char *const promise_names[PROMISE_KINDS] = {"start", "end"};

static double log_odds(double share)
{
    return log(share / (1 - share));
}

/* The quantile with these log odds. */
static double quantile(const double *sorted_s, uint32_t n, double odds)
{
    double share = fmin(fmax(1 / (1 + exp(-odds)), DRAWN_LEAST), DRAWN_MOST);
    double p50 = sorted_s[n / 2], at = sorted_s[(uint32_t)(n * share + 1e-9)];
    double beyond = odds - log_odds(DRAWN_MOST), below = log_odds(DRAWN_LEAST) - odds;
    if (beyond > 0 && isfinite(at))
        return p50 + exp(STRETCH * beyond) * (at - p50);
    return below > 0 ? at * exp(-STRETCH * below) : at;
}

struct eta_span promise_told(const struct promises *p, enum promise_kind kind, const double *sorted_s, uint32_t n)
{
    static const struct promise_record nothing;
    const struct promise_record *r = p ? &p->of[kind] : &nothing;
    double p50 = quantile(sorted_s, n, log_odds(HALF) + r->middle);
    return (struct eta_span){p50, fmax(quantile(sorted_s, n, log_odds(CERTAIN) + r->shift), p50)};
}

/* J. Vitter, Random Sampling with a Reservoir, 1985: of one. */
void promise_came(struct promises *p, int64_t job)
{
    p->came++;
    p->dice = p->dice ? p->dice : DICE_SEED;
    if (dice_roll(&p->dice) % p->came == 0)
        p->picked = job;
}

int64_t promise_pick(struct promises *p, float *weight)
{
    uint32_t came = p->came;
    p->came = 0;
    *weight = came < WEIGHT_MOST ? (float)came : WEIGHT_MOST;
    return came ? p->picked : -1;
}

void promise_make(struct promises *p, struct promise made)
{
    struct promise *last = &p->open[0];
    if (p->n_open < PROMISES_OPEN) {
        p->open[p->n_open++] = made;
        return;
    }
    for (uint32_t i = 1; i < p->n_open; i++)
        last = p->open[i].by_ms > last->by_ms ? &p->open[i] : last;
    if (made.by_ms < last->by_ms)
        *last = made;
}

int promise_due(struct promises *p, int64_t now_ms, struct promise *due)
{
    uint32_t i = 0;
    while (i < p->n_open && p->open[i].by_ms >= now_ms)
        i++;
    if (i == p->n_open)
        return 0;
    *due = p->open[i];
    p->open[i] = p->open[--p->n_open];
    return 1;
}

/* The quantile `share` was told, and it was by then, or not. */
static void move(double *shift, double share, double step, int kept)
{
    *shift += step * (kept ? share - 1 : share);
}

/* More kept in a row than chance makes of one broken in twenty: the way down is longer than one step at a time takes.
 * Not while many are open: those may be broken that were told by the last steps. */
static double haste(const struct promises *p, enum promise_kind kind)
{
    uint32_t open = 0;
    for (uint32_t i = 0; i < p->n_open; i++)
        open += p->open[i].kind == kind;
    return open <= OPEN_FEW ? fmin(1 + fmax(p->of[kind].row - ROW, 0) * (1 - CERTAIN), HASTE_MOST) : 1;
}

void promise_judge(struct promises *p, const struct promise *m, int64_t came_ms)
{
    struct promise_record *r = &p->of[m->kind];
    double weight = (double)m->weight;
    int kept = came_ms <= m->by_ms;
    r->row = kept ? r->row + 1 : 0;
    move(&r->shift, CERTAIN, STEP * weight * (kept ? haste(p, m->kind) : 1), kept);
    move(&r->middle, HALF, MIDDLE_STEP * weight, came_ms <= m->half_ms);
    r->shift = fmin(fmax(r->shift, SHIFT_LEAST), SHIFT_MOST);
    r->middle = fmin(fmax(r->middle, -MIDDLE_MOST), MIDDLE_MOST);
    r->judged += weight;
    r->kept += ((kept ? 1 : 0) - r->kept) * weight / fmin(r->judged, KEPT_OVER);
}

/* Of several leases only the last one's begin is known. */
static int64_t start_outcome(const struct promise_job *j)
{
    if (j->leases == 1 && j->leased_ms > 0)
        return j->leased_ms;
    return j->leases == 0 && (strcmp(j->status, "queued") == 0 || strcmp(j->status, "scheduled") == 0) ? INT64_MAX : -1;
}

int64_t promise_outcome(const struct promise *m, const struct promise_job *j)
{
    if (m->kind == PROMISE_START)
        return start_outcome(j);
    if (strcmp(j->status, "completed") == 0)
        return j->finished_ms;
    return strcmp(j->status, "failed") == 0 || strcmp(j->status, "cancelled") == 0 ? -1 : INT64_MAX;
}

void promise_forget(struct promises *p)
{
    p->n_open = 0;
    p->came = 0;
}

/* ---- kept over a restart ---- */

struct json_object *promise_json(const struct promises *p)
{
    struct json_object *o = json_object_new_object();
    for (int k = 0; k < PROMISE_KINDS; k++) {
        const struct promise_record *r = &p->of[k];
        struct json_object *one = r->judged > 0 ? json_object_new_object() : NULL;
        if (!one)
            continue;
        json_put_num(one, "shift", round(r->shift * 1000) / 1000);
        json_put_num(one, "middle", round(r->middle * 1000) / 1000);
        json_put_num(one, "kept", round(r->kept * 1000) / 1000);
        json_put_num(one, "judged", r->judged);
        json_object_object_add(o, promise_names[k], one);
    }
    if (json_object_object_length(o))
        return o;
    json_object_put(o);
    return NULL;
}

void promise_take(struct promises *p, struct json_object *o)
{
    for (int k = 0; k < PROMISE_KINDS; k++) {
        struct json_object *one = json_member(o, promise_names[k]);
        p->of[k] =
            (struct promise_record){.shift = number_within(json_num(one, "shift", 0), SHIFT_LEAST, SHIFT_MOST),
                                    .middle = number_within(json_num(one, "middle", 0), -MIDDLE_MOST, MIDDLE_MOST),
                                    .kept = number_within(json_num(one, "kept", 0), 0, 1),
                                    .judged = number_within(json_num(one, "judged", 0), 0, 1e15)};
    }
}
