/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet.h"

#include "err.h"
#include "worker_command.h"
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUICK_END_MS 10000 /* an instance that ends by itself sooner failed to come up */

/* Directory of an instance: its worker's state. */
static void instance_dir(const struct local *l, const char *id, char out[PATH_SIZE])
{
    path_format(out, "%s/instances/%s", l->dir, id);
}

static void log_path(const struct local *l, const char *id, char out[PATH_SIZE])
{
    path_format(out, "%s/instances/%s.log", l->dir, id);
}

/* ---- beginning ---- */

struct instance *instance_launch(struct fleet *f, const struct local *l, int64_t now)
{
    struct instance **last = &f->instances;
    struct instance *i = calloc(1, sizeof *i);
    char letters[18];
    if (!i)
        return NULL;
    random_hex(letters, 8);
    snprintf(i->pub.id, sizeof i->pub.id, "i-0%s", letters); /* 17 hex letters, as those of EC2 */
    fleet_type(f, i->pub.type, sizeof i->pub.type);
    snprintf(i->pub.zone, sizeof i->pub.zone, "%s", l->settings.zone);
    i->pub.state = BP_INSTANCE_PENDING;
    i->pub.spot = l->settings.spot && !fleet_may_afford(f, l);
    i->pub.launched_ms = now;
    i->process.fd = -1;
    int64_t delay = f->boot_delay_ms >= 0 ? f->boot_delay_ms : (int64_t)(l->settings.boot_delay_s * 1000);
    i->boot_at_ms = now + delay;
    i->mute = f->mute_launches > 0;
    f->mute_launches -= i->mute;
    while (*last)
        last = &(*last)->next;
    *last = i;
    f->dirty = 1;
    return i;
}

static int write_identity(const struct local *l, const struct instance *i, struct bp_err *err)
{
    char dir[PATH_SIZE], path[PATH_SIZE];
    instance_dir(l, i->pub.id, dir);
    path_format(path, "%s/instance.json", dir);
    int rc = file_make_dirs(dir, err);
    if (rc < 0)
        return rc;
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", json_object_new_string(i->pub.id));
    json_object_object_add(o, "type", json_object_new_string(i->pub.type));
    json_object_object_add(o, "zone", json_object_new_string(i->pub.zone));
    json_object_object_add(o, "capacity_type", json_object_new_string(i->pub.spot ? "spot" : "on-demand"));
    rc = file_replace(path, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN), err);
    json_object_put(o);
    return rc;
}

static int start_worker(const struct fleet *f, struct instance *i, const struct local *l, struct bp_err *err)
{
    char dir[PATH_SIZE], log[PATH_SIZE];
    struct worker_command c;
    instance_dir(l, i->pub.id, dir);
    log_path(l, i->pub.id, log);
    struct worker_place at = {.id = i->pub.id, .slug = f->slug, .dir = dir, .log = log, .mute = i->mute};
    int rc = worker_command_make(&c, l, &at, err);
    if (rc < 0)
        return rc;
    struct process_spec spec = {.argv = c.argv, .envp = c.envp, .dir = dir, .output = log};
    rc = process_start(&spec, &i->process, err);
    worker_command_free(&c);
    return rc;
}

/* TERMINATED: the disk of the machine is gone with it; the worker's log stays. */
static void end(struct fleet *f, struct instance *i, const struct local *l, int64_t now)
{
    char dir[PATH_SIZE];
    process_close(&i->process);
    i->pub.state = BP_INSTANCE_TERMINATED;
    i->ended_ms = now;
    f->dirty = 1;
    instance_dir(l, i->pub.id, dir);
    file_remove_tree(dir);
}

/* PENDING -> RUNNING: makes its directory and starts its worker. On error it is TERMINATED and recorded. */
static void instance_boot(struct fleet *f, struct instance *i, const struct local *l, int64_t now)
{
    struct bp_err err = {0};
    int rc = write_identity(l, i, &err);
    if (rc == 0)
        rc = start_worker(f, i, l, &err);
    if (rc < 0) {
        i->process.fd = -1;
        LOCAL_LOG(l, BP_LOG_ERROR, "instance %s of fleet %s did not start: %s", i->pub.id, f->slug, err.text);
        fleet_record(f, now, i, 1, rc == BP_FAIL ? "other" : "image", "%s", err.text);
        end(f, i, l, now);
        fleet_rest(f, l, now);
        return;
    }
    i->pub.state = BP_INSTANCE_RUNNING;
    i->pub.running_ms = now;
    snprintf(i->url, sizeof i->url, "%.255s", l->settings.url);
    f->dirty = 1;
    LOCAL_LOG(l, BP_LOG_INFO, "instance %s of fleet %s runs as process %d", i->pub.id, f->slug, (int)i->process.pid);
}

/* ---- ending ---- */

void instance_terminate(struct fleet *f, struct instance *i, const struct local *l, int64_t now)
{
    i->removing = 1;
    f->dirty = 1;
    if (i->pub.state == BP_INSTANCE_PENDING || i->left) {
        end(f, i, l, now);
        return;
    }
    i->pub.state = BP_INSTANCE_TERMINATING;
    i->kill_at_ms = now + (int64_t)(l->settings.terminate_grace_s * 1000);
    process_signal(&i->process, SIGTERM);
}

/* What the worker reads. deadline_ms 0: there is none. */
static int notice_write(const struct instance *i, const struct local *l, const char *kind, int64_t deadline_ms,
                        struct bp_err *err)
{
    char dir[PATH_SIZE], path[PATH_SIZE];
    instance_dir(l, i->pub.id, dir);
    path_format(path, "%s/notice.json", dir);
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "kind", json_object_new_string(kind));
    if (deadline_ms)
        json_object_object_add(o, "deadline_ms", json_object_new_int64(deadline_ms));
    int rc = file_replace(path, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN), err);
    json_object_put(o);
    return rc;
}

int instance_rebalance(struct fleet *f, struct instance *i, const struct local *l, int64_t now, struct bp_err *err)
{
    int rc = notice_write(i, l, "rebalance", 0, err);
    if (rc == 0)
        fleet_record(f, now, i, 0, "rebalance", "rebalance notice: it may be taken away");
    return rc;
}

int instance_interrupt(struct fleet *f, struct instance *i, const struct local *l, int64_t now, struct bp_err *err)
{
    int64_t deadline = now + (int64_t)(l->settings.notice_s * 1000);
    int rc = notice_write(i, l, "interruption", deadline, err);
    if (rc < 0)
        return rc;
    i->pub.interrupting = 1;
    i->interrupt_at_ms = deadline;
    fleet_record(f, now, i, 0, "interruption", "interruption notice: ends in %g s", l->settings.notice_s);
    return 0;
}

/* An instance that fails to come up rests the fleet; one that ran makes the next launch go at once. */
static void record_end(struct fleet *f, const struct instance *i, const struct local *l, int64_t now, int status)
{
    char words[64];
    process_words(status, words, sizeof words);
    if (i->removing) {
        fleet_record(f, now, i, 0, "terminate", "terminated (%s)", words);
        return;
    }
    if (i->pub.interrupting) {
        fleet_record(f, now, i, 0, "interruption", "interrupted (%s)", words);
        return;
    }
    fleet_record(f, now, i, 0, "exit", "ended unexpectedly after %lld ms (%s)", (long long)(now - i->pub.running_ms),
                 words);
    LOCAL_LOG(l, BP_LOG_WARN, "instance %s of fleet %s ended unexpectedly (%s); its log is %s/instances/%s.log",
              i->pub.id, f->slug, words, l->dir, i->pub.id);
    if (now - i->pub.running_ms < QUICK_END_MS)
        fleet_rest(f, l, now);
}

/* Its worker heeded the notice: as in a cloud, the machine is there until it is ended or taken. */
static int stays(struct fleet *f, struct instance *i, int64_t now)
{
    if (i->removing || now >= i->interrupt_at_ms)
        return 0;
    f->dirty |= !i->left;
    i->left = 1;
    process_close(&i->process);
    return 1;
}

static void step_process(struct fleet *f, struct instance *i, const struct local *l, int64_t now)
{
    int status = -1;
    if (i->left || process_ended(&i->process, &status)) {
        if (stays(f, i, now))
            return;
        record_end(f, i, l, now, status);
        end(f, i, l, now);
        return;
    }
    if (f->failures && !i->removing && now - i->pub.running_ms >= QUICK_END_MS)
        f->failures = 0;
    if (i->interrupt_at_ms && now >= i->interrupt_at_ms) {
        i->pub.state = BP_INSTANCE_TERMINATING;
        i->interrupt_at_ms = 0;
        f->dirty = 1;
        process_kill(&i->process);
    }
    if (i->kill_at_ms && now >= i->kill_at_ms) {
        i->kill_at_ms = 0;
        process_kill(&i->process);
    }
}

void instance_step(struct fleet *f, struct instance *i, const struct local *l, int64_t now)
{
    if (i->pub.state == BP_INSTANCE_PENDING && now >= i->boot_at_ms)
        instance_boot(f, i, l, now);
    else if (i->pub.state == BP_INSTANCE_RUNNING || i->pub.state == BP_INSTANCE_TERMINATING)
        step_process(f, i, l, now);
}

static int64_t sooner(int64_t due, int64_t at)
{
    return at && at < due ? at : due;
}

int64_t instance_due(const struct instance *i, const struct local *l)
{
    if (i->pub.state == BP_INSTANCE_PENDING)
        return i->boot_at_ms;
    if (i->pub.state == BP_INSTANCE_TERMINATED)
        return i->ended_ms + (int64_t)(l->settings.ended_report_s * 1000);
    return sooner(sooner(INT64_MAX, i->interrupt_at_ms), i->kill_at_ms);
}

void instance_drop(struct instance *i)
{
    process_close(&i->process);
    free(i);
}
