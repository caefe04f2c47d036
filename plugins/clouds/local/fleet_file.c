/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_file.c - fleets on disk, so that a controller that was killed finds its instances again. */
#include "err.h"
#include "fleet.h"
#include "worker_command.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES       (16U << 20)
#define SAVED_ACTIVITIES 50

/* ---- tables: one row a member ---- */

enum kind { TEXT = 1, INT32, INT64, UINT64 };

struct row {
    const char *name;
    enum kind kind;
    size_t offset, size; /* size: of TEXT */
};

#define T(type, name, member)                                                                                          \
    {                                                                                                                  \
        name, TEXT, offsetof(struct type, member), sizeof(((struct type *)0)->member)                                  \
    }
#define I(type, name, member)                                                                                          \
    {                                                                                                                  \
        name, sizeof(((struct type *)0)->member) == 8 ? INT64 : INT32, offsetof(struct type, member), 0                \
    }

static const struct row fleet_rows[] = {
    T(fleet, "slug", slug),
    T(fleet, "stage", stage),
    T(fleet, "types", types),
    I(fleet, "desired", desired),
    I(fleet, "min", min_size),
    I(fleet, "max", max_size),
    I(fleet, "warmup_s", warmup_s),
    I(fleet, "boot_delay_ms", boot_delay_ms),
    I(fleet, "failures", failures),
    I(fleet, "fail_launches", fail_launches),
    I(fleet, "next_type", next_type),
    I(fleet, "next_launch_ms", next_launch_ms),
    I(fleet, "no_capacity_ms", no_capacity_ms),
    I(fleet, "mute_launches", mute_launches),
};
static const struct row instance_rows[] = {
    T(instance, "id", pub.id),
    T(instance, "type", pub.type),
    T(instance, "zone", pub.zone),
    I(instance, "state", pub.state),
    I(instance, "protected", pub.is_protected),
    I(instance, "spot", pub.spot),
    I(instance, "interrupting", pub.interrupting),
    I(instance, "launched_ms", pub.launched_ms),
    I(instance, "running_ms", pub.running_ms),
    I(instance, "boot_at_ms", boot_at_ms),
    I(instance, "interrupt_at_ms", interrupt_at_ms),
    I(instance, "kill_at_ms", kill_at_ms),
    I(instance, "ended_ms", ended_ms),
    I(instance, "removing", removing),
    I(instance, "mute", mute),
    I(instance, "pid", process.pid),
    {"start", UINT64, offsetof(struct instance, process.start), 0},
    T(instance, "boot", process.boot),
    T(instance, "url", url),
};
static const struct row activity_rows[] = {
    I(bp_activity, "at_ms", at_ms), I(bp_activity, "failed", failed), T(bp_activity, "instance", instance),
    T(bp_activity, "type", type),   T(bp_activity, "reason", reason), T(bp_activity, "text", text),
};
#define N(rows) (sizeof(rows) / sizeof(rows)[0])

static struct json_object *write_rows(const void *from, const struct row *rows, size_t n)
{
    struct json_object *o = json_object_new_object();
    for (size_t i = 0; i < n; i++) {
        const char *p = (const char *)from + rows[i].offset;
        struct json_object *v = NULL;
        int32_t small;
        int64_t large;
        memcpy(&small, p, sizeof small);
        if (rows[i].kind == TEXT) {
            v = json_object_new_string(p);
        } else if (rows[i].kind == INT32) {
            v = json_object_new_int(small);
        } else {
            memcpy(&large, p, sizeof large);
            v = json_object_new_int64(large);
        }
        json_object_object_add(o, rows[i].name, v);
    }
    return o;
}

/* Members that are absent or of another type stay as they are. */
static void read_rows(void *to, const struct row *rows, size_t n, struct json_object *o)
{
    for (size_t i = 0; i < n; i++) {
        char *p = (char *)to + rows[i].offset;
        struct json_object *v = NULL;
        json_object_object_get_ex(o, rows[i].name, &v);
        if (rows[i].kind == TEXT && json_object_is_type(v, json_type_string))
            snprintf(p, rows[i].size, "%s", json_object_get_string(v));
        else if (rows[i].kind == INT32 && json_object_is_type(v, json_type_int))
            memcpy(p, &(int32_t){json_object_get_int(v)}, sizeof(int32_t));
        else if (rows[i].kind != TEXT && json_object_is_type(v, json_type_int))
            memcpy(p, &(int64_t){json_object_get_int64(v)}, sizeof(int64_t));
    }
}

/* ---- writing ---- */

static struct json_object *write_fleet(const struct fleet *f)
{
    struct json_object *o = write_rows(f, fleet_rows, N(fleet_rows));
    struct json_object *instances = json_object_new_array();
    struct json_object *activities = json_object_new_array();
    for (const struct instance *i = f->instances; i; i = i->next)
        json_object_array_add(instances, write_rows(i, instance_rows, N(instance_rows)));
    uint32_t n = f->n_activities < SAVED_ACTIVITIES ? f->n_activities : SAVED_ACTIVITIES;
    for (uint32_t k = n; k > 0; k--) {
        const struct bp_activity *a = &f->activities[(f->next_activity + FLEET_ACTIVITIES - k) % FLEET_ACTIVITIES];
        json_object_array_add(activities, write_rows(a, activity_rows, N(activity_rows)));
    }
    json_object_object_add(o, "instances", instances);
    json_object_object_add(o, "activities", activities);
    return o;
}

int fleet_save(struct fleet *f, const struct local *l, struct bp_err *err)
{
    char path[PATH_SIZE];
    if (!f->dirty)
        return 0;
    path_format(path, "%s/fleets/%s.json", l->dir, f->slug);
    struct json_object *o = write_fleet(f);
    int rc = file_replace(path, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY), err);
    json_object_put(o);
    if (rc == 0)
        f->dirty = 0;
    return rc;
}

/* ---- reading ---- */

/* Killed between starting a worker and writing that down, we find it by its command line. */
static void find_started(struct instance *i, int64_t now)
{
    char mark[128];
    worker_command_mark(i->pub.id, mark);
    i->process.pid = process_find(mark);
    if (i->process.pid <= 0 || process_identify(&i->process, NULL) < 0)
        return;
    i->pub.state = BP_INSTANCE_RUNNING;
    i->pub.running_ms = now;
}

/* Its worker would call at the old address for ever: another takes its place, and has the new one. */
static void replace_lost(struct fleet *f, struct instance *i, const struct local *l)
{
    char here[sizeof i->url];
    snprintf(here, sizeof here, "%.255s", l->settings.url);
    if (i->pub.state != BP_INSTANCE_RUNNING || !i->url[0] || strcmp(i->url, here) == 0)
        return;
    LOCAL_LOG(l, BP_LOG_WARN, "instance %s is replaced: its worker calls %s, this daemon is at %s", i->pub.id, i->url,
              here);
    fleet_record(f, LOCAL_NOW(l), i, 0, "terminate", "its controller moved from %.100s", i->url);
    instance_terminate(f, i, l, LOCAL_NOW(l));
}

/* A process that is gone leaves fd at -1: the next step finds it ended. */
static void adopt(struct fleet *f, struct instance *i, const struct local *l)
{
    i->process.fd = -1;
    if (i->pub.state == BP_INSTANCE_PENDING)
        find_started(i, LOCAL_NOW(l));
    if (i->pub.state != BP_INSTANCE_RUNNING && i->pub.state != BP_INSTANCE_TERMINATING)
        return;
    if (process_adopt(&i->process, NULL) < 0)
        return;
    LOCAL_LOG(l, BP_LOG_INFO, "instance %s still runs as process %d", i->pub.id, (int)i->process.pid);
    replace_lost(f, i, l);
}

static int is_id(const char *id)
{
    return strncmp(id, "i-", 2) == 0 && strlen(id) == 19 && strspn(id + 2, "0123456789abcdef") == 17;
}

static void read_instances(struct fleet *f, const struct local *l, struct json_object *array)
{
    struct instance **last = &f->instances;
    size_t n = json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
    for (size_t k = 0; k < n; k++) {
        struct instance *i = calloc(1, sizeof *i);
        if (!i)
            return;
        read_rows(i, instance_rows, N(instance_rows), json_object_array_get_idx(array, k));
        if (!is_id(i->pub.id) || i->pub.state < BP_INSTANCE_PENDING || i->pub.state > BP_INSTANCE_TERMINATED) {
            LOCAL_LOG(l, BP_LOG_WARN, "fleet %s: an instance in its file makes no sense and is left out", f->slug);
            free(i);
            continue;
        }
        adopt(f, i, l);
        *last = i;
        last = &i->next;
    }
}

static void read_activities(struct fleet *f, struct json_object *array)
{
    size_t n = json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
    for (size_t k = n > SAVED_ACTIVITIES ? n - SAVED_ACTIVITIES : 0; k < n; k++) {
        read_rows(&f->activities[f->next_activity], activity_rows, N(activity_rows),
                  json_object_array_get_idx(array, k));
        f->next_activity++;
        f->n_activities++;
    }
}

struct fleet *fleet_load(const struct local *l, const char *path, struct bp_err *err)
{
    char *text;
    struct json_object *v = NULL;
    if (file_read(path, FILE_BYTES, &text, err) < 0)
        return NULL;
    struct json_object *o = json_tokener_parse(text);
    struct fleet *f = fleet_new("");
    free(text);
    if (f && json_object_is_type(o, json_type_object)) {
        read_rows(f, fleet_rows, N(fleet_rows), o);
        json_object_object_get_ex(o, "activities", &v);
        read_activities(f, v); /* first: adopting instances may add to them */
        json_object_object_get_ex(o, "instances", &v);
        read_instances(f, l, v);
    }
    json_object_put(o);
    if (f && f->slug[0])
        return f;
    fleet_free(f);
    err_set(err, BP_INVALID, "%s does not describe a fleet; remove it", path);
    return NULL;
}
