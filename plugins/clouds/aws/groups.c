/* SPDX-License-Identifier: Apache-2.0 */
#include "groups.h"

#include "client.h"
#include "err.h"
#include "form.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024
#define PAGES   20 /* of one call's answer: 100 groups come in one page, unless they are very large */

struct groups {
    pthread_mutex_t looking; /* one look at a time: the second finds what the first saw */
    pthread_mutex_t mutex;   /* of all below */
    struct group *buckets[BUCKETS];
    uint64_t changes;
    uint64_t failures;    /* looks that failed */
    struct bp_err failed; /* the last of them */
};

struct groups *groups_new(void)
{
    struct groups *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    pthread_mutex_init(&g->looking, NULL);
    pthread_mutex_init(&g->mutex, NULL);
    return g;
}

static void group_free(struct group *g)
{
    free(g->members);
    free(g);
}

void groups_free(struct groups *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (g->buckets[i]) {
            struct group *gone = g->buckets[i];
            g->buckets[i] = gone->next;
            group_free(gone);
        }
    pthread_mutex_destroy(&g->looking);
    pthread_mutex_destroy(&g->mutex);
    free(g);
}

void groups_lock(struct groups *g)
{
    pthread_mutex_lock(&g->mutex);
}

void groups_unlock(struct groups *g)
{
    pthread_mutex_unlock(&g->mutex);
}

/* FNV-1a, 32 bits. */
static struct group **bucket(struct groups *g, const char *slug)
{
    uint32_t h = 2166136261U;
    for (; *slug; slug++)
        h = (h ^ (unsigned char)*slug) * 16777619U;
    return &g->buckets[h % BUCKETS];
}

struct group *groups_at(struct fleets *f, const char *slug)
{
    struct group **at = bucket(f->groups, slug);
    for (struct group *g = *at; g; g = g->next)
        if (strcmp(g->slug, slug) == 0)
            return g;
    struct group *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    snprintf(g->slug, sizeof g->slug, "%s", slug);
    fleet_group_name(f, slug, g->name);
    g->spec_max = -1;
    g->next = *at;
    *at = g;
    return g;
}

void groups_touch(struct groups *gs, struct group *g)
{
    g->stale = 1;
    g->change = groups_change(gs);
}

uint64_t groups_change(struct groups *gs)
{
    return ++gs->changes;
}

void groups_each(struct groups *gs, void (*fn)(struct group *g, void *arg), void *arg)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct group *g = gs->buckets[i]; g; g = g->next)
            fn(g, arg);
}

/* ---- looking ---- */

/* Groups to be asked for: slug and name of each, and what came back. */
struct wish {
    char slug[FLEET_SLUG_SIZE];
    struct group seen; /* name; the rest as parsed */
};

static void wishes_free(struct wish *w, uint32_t n)
{
    for (uint32_t k = 0; w && k < n; k++)
        free(w[k].seen.members);
    free(w);
}

static int take_page(const struct xml *result, int64_t now_ms, struct wish *w, uint32_t n)
{
    for (const struct xml *x = xml_first(result, "AutoScalingGroups/member"); x; x = xml_next(x)) {
        const char *name = xml_text(x, "AutoScalingGroupName");
        for (uint32_t k = 0; k < n; k++)
            if (!w[k].seen.exists && strcmp(w[k].seen.name, name) == 0 && group_parse(x, now_ms, &w[k].seen) < 0)
                return BP_NOMEM;
    }
    return 0;
}

static int ask_page(struct fleets *f, struct wish *w, uint32_t n, char next[2048], struct bp_err *err)
{
    struct reply r = {0};
    char what[FLEET_NAME_SIZE + 40];
    struct form *form = form_new();
    if (!form)
        return err_set(err, BP_NOMEM, "no memory to describe %u groups", n);
    for (uint32_t k = 0; k < n; k++)
        form_put(form, w[k].seen.name, "AutoScalingGroupNames.member.%u", k + 1);
    form_put_int(form, GROUPS_PAGE, "MaxRecords");
    form_put(form, next[0] ? next : NULL, "NextToken");
    snprintf(what, sizeof what, "%u groups from %s on", n, w[0].seen.name);
    if (n == 1)
        snprintf(what, sizeof what, "group %s", w[0].seen.name);
    int rc = client_query(f->aws->client, AWS_OP_AUTOSCALING_DESCRIBE_AUTO_SCALING_GROUPS, form, what, &r, err);
    form_free(form);
    const struct xml *result = rc == 0 ? xml_at(xml_result(r.xml), "AutoScalingGroups") : NULL;
    if (rc == 0 && !result)
        rc = err_set(err, BP_FAIL, "the description of %.120s is no list of groups", what);
    else if (rc == 0 && take_page(xml_result(r.xml), AWS_NOW(f->aws), w, n) < 0)
        rc = err_set(err, BP_NOMEM, "no memory to describe %u groups", n);
    snprintf(next, 2048, "%s", rc == 0 ? xml_text(xml_result(r.xml), "NextToken") : "");
    reply_free(&r);
    return rc;
}

/* Up to GROUPS_PAGE of them. */
static int ask(struct fleets *f, struct wish *w, uint32_t n, struct bp_err *err)
{
    char next[2048] = "";
    int rc, pages = 0;
    do
        rc = ask_page(f, w, n, next, err);
    while (rc == 0 && next[0] && ++pages < PAGES);
    if (rc == 0 && next[0])
        rc = err_set(err, BP_FAIL, "the description of %u groups does not end after %d pages", n, PAGES);
    return rc;
}

/* What was changed while it was asked for may have been seen from before that. */
static void store(struct fleets *f, struct wish *w, uint64_t began)
{
    struct group *g = groups_at(f, w->slug);
    if (!g)
        return;
    struct group *seen = &w->seen;
    group_keep(seen, g, began);
    struct member *old = g->members;
    g->members = seen->members;
    g->n = seen->n;
    seen->members = old;
    g->exists = seen->exists;
    g->desired = seen->desired;
    g->min_size = seen->min_size;
    g->max_size = seen->max_size;
    memcpy(g->subnets, seen->subnets, sizeof g->subnets);
    memcpy(g->types, seen->types, sizeof g->types);
    g->described_ms = AWS_NOW(f->aws);
    g->stale = g->change > began;
}

static int is_due(const struct group *g, int64_t now_ms, int64_t max_age_ms)
{
    int64_t age = now_ms - g->described_ms;
    return !g->described_ms || age < 0 || age >= max_age_ms;
}

/* Those that must be asked for: all when one is due, since then all are about to be; else what was changed. *n: how
 * many. NULL without memory. */
static struct wish *wishes_of(struct fleets *f, const char *const *slugs, uint32_t *n, int64_t max_age_ms, int *due)
{
    struct wish *w = calloc(*n + 1, sizeof *w);
    int64_t now = AWS_NOW(f->aws);
    uint32_t used = 0;
    *due = 0;
    for (uint32_t k = 0; w && k < *n && !*due; k++) {
        const struct group *g = groups_at(f, slugs[k]);
        *due = g && is_due(g, now, max_age_ms);
    }
    for (uint32_t k = 0; w && k < *n; k++) {
        const struct group *g = groups_at(f, slugs[k]);
        if (!g || (!*due && !g->stale))
            continue;
        snprintf(w[used].slug, sizeof w[used].slug, "%s", g->slug);
        memcpy(w[used].seen.name, g->name, sizeof g->name);
        used++;
    }
    *n = used;
    return w;
}

static int look(struct fleets *f, const char *const *slugs, uint32_t n, int64_t max_age_ms, int *due,
                struct bp_err *err)
{
    groups_lock(f->groups);
    uint64_t began = f->groups->changes;
    struct wish *w = wishes_of(f, slugs, &n, max_age_ms, due);
    groups_unlock(f->groups);
    if (!w)
        return err_set(err, BP_NOMEM, "no memory to describe the groups");
    int rc = 0;
    for (uint32_t k = 0; k < n && rc == 0; k += GROUPS_PAGE) {
        uint32_t part = n - k < GROUPS_PAGE ? n - k : GROUPS_PAGE;
        rc = ask(f, w + k, part, err);
        groups_lock(f->groups);
        for (uint32_t i = k; i < k + part && rc == 0; i++)
            store(f, &w[i], began);
        groups_unlock(f->groups);
    }
    wishes_free(w, n);
    return rc;
}

/* While AWS hangs, those that wait for a look take the failure of the one they waited for: else they would hang one
 * after another, and take all threads of the plugin with them. */
static int failed_meanwhile(struct groups *g, uint64_t before, struct bp_err *err)
{
    groups_lock(g);
    int failed = g->failures != before;
    if (failed)
        *err = g->failed;
    groups_unlock(g);
    return failed;
}

static void note_failure(struct groups *g, const struct bp_err *err)
{
    groups_lock(g);
    g->failures++;
    g->failed = *err;
    groups_unlock(g);
}

int groups_look(struct fleets *f, const char *const *slugs, uint32_t n, int64_t max_age_ms, int full,
                struct bp_err *err)
{
    int due = 0;
    groups_lock(f->groups);
    uint64_t failures = f->groups->failures;
    groups_unlock(f->groups);
    pthread_mutex_lock(&f->groups->looking);
    int failed = failed_meanwhile(f->groups, failures, err);
    int rc = failed ? err->rc : look(f, slugs, n, max_age_ms, &due, err);
    if (rc < 0 && !failed)
        note_failure(f->groups, err);
    if (rc == 0 && full && !(due && machines_ask_notices(f))) /* one call more, not two */
        machines_ask(f);
    pthread_mutex_unlock(&f->groups->looking);
    return rc;
}
