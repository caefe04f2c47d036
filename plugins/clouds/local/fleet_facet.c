/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_facet.c - facet bp.fleet/1: what the controller asks of the fleets. */
#include "err.h"
#include "fleets.h"
#include "process.h"

#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOOT_DELAY_MAX_MS  3600000
#define FAIL_MAX           10000
#define NO_CAPACITY_MAX_MS 86400000

/* The lock is held when it succeeds. */
static int enter(struct local *l, const char *slug, struct fleet **f, struct bp_err *err)
{
    int rc = fleets_enter(l->fleets, err);
    if (rc < 0)
        return rc;
    *f = fleets_find(l->fleets, slug);
    if (*f)
        return 0;
    fleets_leave(l->fleets, 0);
    return err_set(err, BP_NOTFOUND, "there is no fleet %.120s; ensure it first", slug);
}

static int no_instance(struct bp_err *err, const char *slug, const char *instance)
{
    return err_set(err, BP_NOTFOUND, "fleet %.80s has no running instance %.63s", slug, instance);
}

static int is_live(const struct instance *i)
{
    return i && (i->pub.state == BP_INSTANCE_PENDING || i->pub.state == BP_INSTANCE_RUNNING);
}

/* ---- ensure ---- */

static int check_spec(const struct bp_fleet_spec *s, struct bp_err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t n = s->slug ? strlen(s->slug) : 0;
    if (n < 1 || n >= FLEET_SLUG_SIZE || strspn(s->slug, letters) != n || s->slug[0] == '.')
        return err_set(err, BP_INVALID, "a fleet needs a slug of 1 to %d letters, digits, '-', '_' or '.'",
                       FLEET_SLUG_SIZE - 1);
    if (s->max_size < 0 || s->warmup_s < 0)
        return err_set(err, BP_INVALID, "fleet %s: max_size and warmup must not be negative", s->slug);
    return 0;
}

/* The types that the fleet will have: those of the spec, else of the settings. */
static int types_of(const struct local *l, const struct bp_fleet_spec *s, char out[FLEET_TYPES_SIZE],
                    struct bp_err *err)
{
    struct json_object *own = s->instance_types ? json_tokener_parse(s->instance_types) : NULL;
    int given = json_object_is_type(own, json_type_array) && json_object_array_length(own) > 0;
    /* A copy by text: settings are shared, and printing would write into them. */
    struct json_object *from = given ? own : l->settings.instance_types;
    struct json_object *types = json_object_new_array();
    size_t n = json_object_array_length(from);
    for (size_t i = 0; i < n; i++) {
        struct json_object *one = json_object_array_get_idx(from, i);
        if (json_object_is_type(one, json_type_string))
            json_object_array_add(types, json_object_new_string(json_object_get_string(one)));
    }
    const char *text = json_object_to_json_string_ext(types, JSON_C_TO_STRING_PLAIN);
    int fits = strlen(text) < FLEET_TYPES_SIZE;
    if (fits)
        snprintf(out, FLEET_TYPES_SIZE, "%s", text);
    json_object_put(types);
    json_object_put(own);
    return fits ? 0 : err_set(err, BP_INVALID, "fleet %s has too many instance types", s->slug);
}

static void say(struct json_object *diff, const char *fmt, ...) BP_PRINTF(2, 3);
static void say(struct json_object *diff, const char *fmt, ...)
{
    char text[FLEET_TYPES_SIZE * 2 + 256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    json_object_array_add(diff, json_object_new_string(text));
}

/* ["a","b"] as "a, b". */
static void say_types(const char *types, char out[FLEET_TYPES_SIZE])
{
    size_t n = 0;
    for (const char *p = types; *p; p++)
        if (!strchr("[]\"", *p)) {
            out[n++] = *p;
            if (*p == ',')
                out[n++] = ' ';
        }
    out[n] = 0;
}

static void compare(const struct fleet *f, const struct bp_fleet_spec *s, const char *types, struct json_object *diff)
{
    char now[FLEET_TYPES_SIZE], wanted[FLEET_TYPES_SIZE];
    say_types(types, wanted);
    if (!f) {
        say(diff, "create fleet %s of at most %d instances: %s", s->slug, s->max_size, wanted);
        return;
    }
    say_types(f->types, now);
    if (f->max_size != s->max_size)
        say(diff, "fleet %s: max_size %d becomes %d", s->slug, f->max_size, s->max_size);
    if (f->warmup_s != s->warmup_s)
        say(diff, "fleet %s: warmup %d s becomes %d s", s->slug, f->warmup_s, s->warmup_s);
    if (strcmp(f->types, types) != 0)
        say(diff, "fleet %s: instance types %s become %s", s->slug, now, wanted);
}

static int apply(struct fleets *fs, struct fleet *f, const struct bp_fleet_spec *s, const char *types,
                 struct bp_err *err)
{
    if (!f) {
        f = fleet_new(s->slug);
        if (!f)
            return err_set(err, BP_NOMEM, "no memory for fleet %s", s->slug);
        fleets_add(fs, f);
    }
    f->max_size = s->max_size;
    f->warmup_s = s->warmup_s;
    snprintf(f->stage, sizeof f->stage, "%s", s->stage ? s->stage : "");
    snprintf(f->types, sizeof f->types, "%s", types);
    f->dirty = 1;
    return 0;
}

static int32_t ensure(void *inst, const struct bp_fleet_spec *spec, int32_t dry_run, char **diff, struct bp_err *err)
{
    struct local *l = inst;
    char types[FLEET_TYPES_SIZE] = "";
    int rc = check_spec(spec, err);
    if (rc < 0 || (rc = types_of(l, spec, types, err)) < 0 || (rc = fleets_enter(l->fleets, err)) < 0)
        return rc;
    struct json_object *sentences = json_object_new_array();
    struct fleet *f = fleets_find(l->fleets, spec->slug);
    compare(f, spec, types, sentences);
    int differs = json_object_array_length(sentences) > 0;
    if (diff) {
        *diff = local_text(l, json_object_to_json_string_ext(sentences, JSON_C_TO_STRING_NOSLASHESCAPE));
        rc = *diff ? 0 : err_set(err, BP_NOMEM, "no memory for fleet %s", spec->slug);
    }
    if (rc == 0 && differs && !dry_run)
        rc = apply(l->fleets, f, spec, types, err);
    if (rc < 0 && diff && *diff) {
        l->host->free(*diff);
        *diff = NULL;
    }
    fleets_leave(l->fleets, differs && !dry_run);
    json_object_put(sentences);
    return rc;
}

/* ---- describe ---- */

static int describe_one(const struct local *l, const struct fleet *f, struct bp_fleet_state *out, struct bp_err *err)
{
    uint32_t n = 0;
    for (const struct instance *i = f->instances; i; i = i->next)
        n++;
    out->exists = 1;
    out->desired = f->desired;
    out->min_size = f->min_size;
    out->max_size = f->max_size;
    if (!n)
        return 0;
    out->memory = l->host->alloc(n * sizeof *out->instances);
    if (!out->memory)
        return err_set(err, BP_NOMEM, "no memory to describe fleet %s", f->slug);
    out->instances = out->memory;
    for (const struct instance *i = f->instances; i; i = i->next)
        out->instances[out->n_instances++] = i->pub;
    return 0;
}

/* The host's struct may be longer than ours: its size word says how far apart they lie. */
static struct bp_fleet_state *state_at(struct bp_fleet_state *out, size_t stride, uint32_t i)
{
    return (struct bp_fleet_state *)(void *)((char *)out + i * stride);
}

static int32_t describe(void *inst, const char *const *slugs, uint32_t n, struct bp_fleet_state *out,
                        struct bp_err *err)
{
    struct local *l = inst;
    size_t stride = n && out[0].size > sizeof *out ? out[0].size : sizeof *out;
    int rc = fleets_enter(l->fleets, err);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < n; i++) {
        struct bp_fleet_state *s = state_at(out, stride, i);
        uint32_t size = s->size;
        memset(s, 0, sizeof *s);
        s->size = size;
    }
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        const struct fleet *f = fleets_find(l->fleets, slugs[i]);
        if (f)
            rc = describe_one(l, f, state_at(out, stride, i), err);
    }
    fleets_leave(l->fleets, 0);
    for (uint32_t i = 0; i < n && rc < 0; i++) {
        struct bp_fleet_state *s = state_at(out, stride, i);
        l->host->free(s->memory);
        s->memory = s->instances = NULL;
        s->n_instances = 0;
    }
    return rc;
}

/* ---- changes ---- */

static int32_t grow(void *inst, const char *slug, int32_t to, struct bp_err *err)
{
    struct local *l = inst;
    struct fleet *f;
    int rc = enter(l, slug, &f, err);
    if (rc < 0)
        return rc;
    int32_t target = to < f->max_size ? to : f->max_size;
    if (target > f->desired) {
        f->desired = target;
        f->dirty = 1;
    }
    fleets_leave(l->fleets, 1);
    return 0;
}

static int32_t terminate(void *inst, const char *slug, const char *instance, struct bp_err *err)
{
    struct local *l = inst;
    struct fleet *f;
    int rc = enter(l, slug, &f, err);
    if (rc < 0)
        return rc;
    struct instance *i = fleet_instance(f, instance);
    if (is_live(i)) {
        int64_t now = LOCAL_NOW(l);
        f->desired -= f->desired > f->min_size;
        fleet_record(f, now, i, 0, "terminate", "asked to end; %d are desired now", f->desired);
        instance_terminate(f, i, l, now);
    } else {
        rc = no_instance(err, slug, instance);
    }
    fleets_leave(l->fleets, 1);
    return rc;
}

static int32_t protect(void *inst, const char *slug, const char *instance, int32_t on, struct bp_err *err)
{
    struct local *l = inst;
    struct fleet *f;
    int rc = enter(l, slug, &f, err);
    if (rc < 0)
        return rc;
    struct instance *i = fleet_instance(f, instance);
    if (is_live(i)) {
        i->pub.is_protected = on != 0;
        f->dirty = 1;
    } else {
        rc = no_instance(err, slug, instance);
    }
    fleets_leave(l->fleets, 0);
    return rc;
}

/* Also ends the rest after launches that failed: what could not be had may be had now. */
static int32_t afford(void *inst, const char *slug, int32_t on_demand, struct bp_err *err)
{
    struct local *l = inst;
    struct fleet *f;
    int rc = enter(l, slug, &f, err);
    if (rc < 0)
        return rc;
    if (on_demand > f->on_demand) {
        f->failures = 0;
        f->next_launch_ms = 0;
    }
    f->dirty |= f->on_demand != on_demand;
    f->on_demand = on_demand;
    fleets_leave(l->fleets, 1);
    return 0;
}

static int32_t activities(void *inst, const char *slug, int64_t since_ms, struct bp_activity *out, uint32_t *n,
                          struct bp_err *err)
{
    struct local *l = inst;
    struct fleet *f;
    uint32_t room = *n;
    *n = 0;
    int rc = enter(l, slug, &f, err);
    if (rc < 0)
        return rc;
    for (uint32_t k = 1; k <= f->n_activities && *n < room; k++) {
        const struct bp_activity *a = &f->activities[(f->next_activity + FLEET_ACTIVITIES - k) % FLEET_ACTIVITIES];
        if (a->at_ms >= since_ms)
            out[(*n)++] = *a;
    }
    fleets_leave(l->fleets, 0);
    return 0;
}

/* ---- faults on demand ---- */

static int number_of(const char *arg, int64_t max, int64_t *out, struct bp_err *err)
{
    char *rest;
    *out = arg && arg[0] ? strtoll(arg, &rest, 10) : -1;
    if (*out < 0 || *rest || *out > max)
        return err_set(err, BP_INVALID, "\"%.40s\" is not a number from 0 to %lld", arg ? arg : "", (long long)max);
    return 0;
}

static int fail_launches(struct local *l, struct fleet *f, const char *arg, struct bp_err *err)
{
    int64_t n;
    (void)l;
    int rc = number_of(arg, FAIL_MAX, &n, err);
    if (rc < 0)
        return rc;
    f->fail_launches = (int32_t)n;
    f->dirty = 1;
    return 0;
}

static int no_capacity(struct local *l, struct fleet *f, const char *arg, struct bp_err *err)
{
    int64_t ms;
    int rc = number_of(arg, NO_CAPACITY_MAX_MS, &ms, err);
    if (rc < 0)
        return rc;
    f->no_capacity_ms = LOCAL_NOW(l) + ms;
    f->dirty = 1;
    return 0;
}

static int never_register(struct local *l, struct fleet *f, const char *arg, struct bp_err *err)
{
    int64_t n;
    (void)l;
    int rc = number_of(arg, FAIL_MAX, &n, err);
    if (rc < 0)
        return rc;
    f->mute_launches = (int32_t)n;
    f->dirty = 1;
    return 0;
}

static int boot_delay(struct local *l, struct fleet *f, const char *arg, struct bp_err *err)
{
    int64_t n;
    (void)l;
    int rc = number_of(arg, BOOT_DELAY_MAX_MS, &n, err);
    if (rc < 0)
        return rc;
    f->boot_delay_ms = n;
    f->dirty = 1;
    return 0;
}

/* The named instance if it runs; without a name the oldest that runs and got no notice yet. */
static struct instance *running(struct fleet *f, const char *id)
{
    for (struct instance *i = f->instances; i; i = i->next) {
        int named = id && id[0];
        if (i->pub.state == BP_INSTANCE_RUNNING && (named ? strcmp(i->pub.id, id) == 0 : !i->pub.interrupting))
            return i;
    }
    return NULL;
}

static int interrupt(struct local *l, struct fleet *f, const char *arg, struct bp_err *err)
{
    struct instance *i = running(f, arg);
    if (!i)
        return no_instance(err, f->slug, arg ? arg : "");
    if (!i->pub.spot)
        return err_set(err, BP_CONFLICT, "instance %s is on-demand, only Spot instances are interrupted", i->pub.id);
    if (i->pub.interrupting)
        return 0;
    return instance_interrupt(f, i, l, LOCAL_NOW(l), err);
}

/* Without a name the oldest that got no notice. What its worker is told is all: an interruption may follow, or not. */
static int rebalance(struct local *l, struct fleet *f, const char *arg, struct bp_err *err)
{
    struct instance *i = running(f, arg);
    if (!i)
        return no_instance(err, f->slug, arg ? arg : "");
    if (!i->pub.spot || i->pub.interrupting)
        return err_set(err, BP_CONFLICT, "instance %s is %s: no rebalance notice comes before that", i->pub.id,
                       i->pub.spot ? "being interrupted already" : "on-demand");
    return instance_rebalance(f, i, l, LOCAL_NOW(l), err);
}

/* All Spot instances that run get their notice at once. */
static int storm(struct local *l, struct fleet *f, const char *arg, struct bp_err *err)
{
    int n = 0;
    (void)arg;
    for (struct instance *i = f->instances; i; i = i->next) {
        if (i->pub.state != BP_INSTANCE_RUNNING || !i->pub.spot || i->pub.interrupting)
            continue;
        int rc = instance_interrupt(f, i, l, LOCAL_NOW(l), err);
        if (rc < 0)
            return rc;
        n++;
    }
    return n ? 0 : no_instance(err, f->slug, "that is Spot and has no notice yet");
}

static int kill_one(struct local *l, struct fleet *f, const char *arg, struct bp_err *err)
{
    struct instance *i = running(f, arg);
    (void)l;
    if (!i)
        return no_instance(err, f->slug, arg ? arg : "");
    process_kill(&i->process);
    return 0;
}

static int32_t inject(void *inst, const char *slug, const char *what, const char *arg, struct bp_err *err)
{
    static const struct {
        const char *what;
        int (*run)(struct local *l, struct fleet *f, const char *arg, struct bp_err *err);
    } rows[] = {{"fail-launches", fail_launches},
                {"no-capacity", no_capacity},
                {"boot-delay", boot_delay},
                {"never-register", never_register},
                {"rebalance", rebalance},
                {"interrupt", interrupt},
                {"storm", storm},
                {"kill", kill_one}};
    struct local *l = inst;
    struct fleet *f;
    int rc = enter(l, slug, &f, err);
    if (rc < 0)
        return rc;
    rc = BP_UNSUPPORTED;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].what, what) == 0)
            rc = rows[i].run(l, f, arg, err);
    if (rc == BP_UNSUPPORTED)
        err_set(err, rc,
                "cannot inject \"%.40s\"; known are fail-launches, no-capacity, boot-delay, never-register, "
                "rebalance, interrupt, storm and kill",
                what);
    fleets_leave(l->fleets, 1);
    return rc;
}

static int32_t leave(void *inst, struct bp_err *err)
{
    struct local *l = inst;
    return l->fleets ? fleets_end(l->fleets, err) : 0;
}

const struct bp_fleet fleet_facet = {
    .size = sizeof(struct bp_fleet),
    .ensure = ensure,
    .describe = describe,
    .grow = grow,
    .terminate = terminate,
    .protect = protect,
    .activities = activities,
    .inject = inject,
    .leave = leave,
    .afford = afford,
};
