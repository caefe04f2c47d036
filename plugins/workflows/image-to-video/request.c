/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include <bp/workflow.h>
#include <math.h>

struct word {
    const char *text;
    int32_t value;
};

static const struct word moves[] = {
    {"push", MOVE_PUSH},     {"pull", MOVE_PULL},         {"pan-left", MOVE_PAN_LEFT}, {"pan-right", MOVE_PAN_RIGHT},
    {"pan-up", MOVE_PAN_UP}, {"pan-down", MOVE_PAN_DOWN}, {"orbit", MOVE_ORBIT},       {NULL, 0}};
static const struct word easings[] = {{"linear", EASING_LINEAR},
                                      {"ease-in", EASING_IN},
                                      {"ease-out", EASING_OUT},
                                      {"ease-in-out", EASING_IN_OUT},
                                      {NULL, 0}};

/* The numbers of the manifest's schema. */
static const struct range {
    const char *name;
    double fallback, minimum, maximum;
    size_t offset;
    int32_t whole; /* bytes of an integer member, 0: a double */
} ranges[] = {
    {"duration", 5, 0.5, 60, offsetof(struct request, duration_s), 0},
    {"strength", 0.5, 0, 1, offsetof(struct request, strength), 0},
    {"parallax", 0, 0, 1, offsetof(struct request, parallax), 0},
    {"motion_blur", 0.5, 0, 1, offsetof(struct request, motion_blur), 0},
    {"vignette", 0, 0, 1, offsetof(struct request, vignette), 0},
    {"seed", 0, 0, 4294967295.0, offsetof(struct request, seed), 8},
    {"fps", 30, 10, 60, offsetof(struct request, fps), 4},
    {"width", 1920, 64, 3840, offsetof(struct request, width), 4},
    {"height", 1080, 64, 2160, offsetof(struct request, height), 4},
};

static int32_t read_range(const struct bp_job *job, const struct range *r, struct request *out, struct bp_err *err)
{
    double v = bp_param_f_or(job, r->name, r->fallback);
    if (!(v >= r->minimum && v <= r->maximum))
        return bp_error(err, BP_INVALID, "%s is %g, allowed are %g to %g", r->name, v, r->minimum, r->maximum);
    char *at = (char *)out + r->offset;
    if (r->whole == 8)
        *(int64_t *)(void *)at = (int64_t)v;
    else if (r->whole == 4)
        *(int32_t *)(void *)at = (int32_t)v;
    else
        *(double *)(void *)at = v;
    return BP_OK;
}

/* The value of a word, the default (named by `fallback`) when the param is absent. */
static int32_t read_word(const struct bp_job *job, const char *name, const char *fallback, const struct word *words,
                         struct bp_err *err)
{
    char text[24];
    bp_param_s(job, name, text, sizeof text);
    const char *wanted = text[0] ? text : fallback;
    for (; words->text; words++)
        if (strcmp(words->text, wanted) == 0)
            return words->value;
    return bp_error(err, BP_INVALID, "%s cannot be \"%s\"", name, wanted);
}

int32_t request_read(const struct bp_job *job, struct request *out, struct bp_err *err)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (read_range(job, &ranges[i], out, err) != BP_OK)
            return BP_INVALID;
    out->move = read_word(job, "move", "push", moves, err);
    out->easing = out->move > 0 ? read_word(job, "easing", "ease-in-out", easings, err) : 0;
    if (out->move < 0 || out->easing < 0)
        return BP_INVALID;
    out->width &= ~1;
    out->height &= ~1;
    out->frames = (int32_t)lround(out->duration_s * out->fps);
    if (out->frames < 2)
        out->frames = 2;
    return BP_OK;
}
