/* SPDX-License-Identifier: Apache-2.0 */
#include "activities.h"

#include "err.h"
#include "fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT 512

struct noted {
    char slug[FLEET_SLUG_SIZE];
    struct bp_activity activity;
};

struct activities {
    pthread_mutex_t mutex;
    size_t next, n;
    struct noted ring[KEPT];
};

struct activities *activities_open(struct fleets *f, struct bp_err *err)
{
    (void)f;
    struct activities *a = calloc(1, sizeof *a);
    if (!a) {
        err_set(err, BP_NOMEM, "no memory for the fleets' activities");
        return NULL;
    }
    pthread_mutex_init(&a->mutex, NULL);
    return a;
}

void activities_close(struct activities *a)
{
    if (a)
        pthread_mutex_destroy(&a->mutex);
    free(a);
}

/* What kind of trouble AWS' code is. */
static const char *reason_of(const char *code)
{
    static const struct {
        const char *part, *reason;
    } rows[] = {{"Capacity", "capacity"},     {"Unfulfillable", "capacity"},       {"SpotMaxPrice", "capacity"},
                {"LimitExceeded", "quota"},   {"CountExceeded", "quota"},          {"InvalidAMI", "image"},
                {"InvalidSubnet", "network"}, {"UnauthorizedOperation", "denied"}, {"AccessDenied", "denied"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strstr(code, rows[i].part))
            return rows[i].reason;
    return "other";
}

void activities_note_launch_error(struct fleets *f, const char *slug, const char *code, const char *message,
                                  const char *type, const char *zone)
{
    struct activities *a = f->activities;
    pthread_mutex_lock(&a->mutex);
    struct noted *e = &a->ring[a->next];
    a->next = (a->next + 1) % KEPT;
    a->n += a->n < KEPT;
    memset(e, 0, sizeof *e);
    snprintf(e->slug, sizeof e->slug, "%s", slug);
    e->activity.at_ms = AWS_NOW(f->aws);
    e->activity.failed = 1;
    snprintf(e->activity.type, sizeof e->activity.type, "%s", type);
    snprintf(e->activity.reason, sizeof e->activity.reason, "%s", reason_of(code));
    snprintf(e->activity.text, sizeof e->activity.text, "%.60s%s%.30s: %.90s", code, zone[0] ? " in " : "", zone,
             message);
    pthread_mutex_unlock(&a->mutex);
}

int32_t fleet_activities(void *inst, const char *slug, int64_t since_ms, struct bp_activity *out, uint32_t *n,
                         struct bp_err *err)
{
    struct activities *a = ((struct aws *)inst)->fleets->activities;
    uint32_t room = *n;
    (void)err;
    *n = 0;
    pthread_mutex_lock(&a->mutex);
    for (size_t k = 1; k <= a->n && *n < room; k++) {
        const struct noted *e = &a->ring[(a->next + KEPT - k) % KEPT];
        if (strcmp(e->slug, slug) == 0 && e->activity.at_ms >= since_ms)
            out[(*n)++] = e->activity;
    }
    pthread_mutex_unlock(&a->mutex);
    return 0;
}
