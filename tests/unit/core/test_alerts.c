/* SPDX-License-Identifier: Apache-2.0 */
/* What wakes operators, and what does not. */
#include "core/provider.h"

#include "../../../core/alerts.h"
#include "log/log.h"
#include <bp/cloud.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sink {
    atomic_int rc, calls, sent;
    pthread_mutex_t lock;
    char text[65536]; /* "key|subject|text\n"... */
};

static int32_t send_note(void *inst, const char *subject, const char *text, const char *key, struct bp_err *err)
{
    struct sink *s = inst;
    int rc = atomic_load(&s->rc);
    pthread_mutex_lock(&s->lock);
    size_t n = strlen(s->text);
    if (rc == 0)
        snprintf(s->text + n, sizeof s->text - n, "%s|%s|%s\n", key, subject, text);
    pthread_mutex_unlock(&s->lock);
    if (rc == 0)
        atomic_fetch_add(&s->sent, 1);
    else
        snprintf(err->text, sizeof err->text, "the double says no");
    atomic_fetch_add(&s->calls, 1);
    return err->rc = rc;
}

static const struct bp_notify table = {.size = sizeof table, .send = send_note};

struct rig {
    struct provider p;
    struct sink sink;
    struct alerts *alerts;
};

static struct rig *begin(const char *set)
{
    struct rig *r = calloc(1, sizeof *r);
    struct bp_err err = {0};
    assert_non_null(r);
    assert_int_equal(log_open("bpd.log", LOG_FORM_TEXT, &err), 0);
    pthread_mutex_init(&r->sink.lock, NULL);
    provider_open(&r->p, (const char *const[]){"stage=prod", set, NULL});
    provider_serve(&r->p, "notify", &table, &r->sink);
    r->alerts = alerts_new(r->p.bus, r->p.config);
    assert_non_null(r->alerts);
    return r;
}

static void end(struct rig *r)
{
    provider_quiet(&r->p);
    alerts_free(r->alerts);
    provider_close(&r->p);
    free(r);
}

static void plugin(struct rig *r, const char *to)
{
    bus_publish(r->p.bus, EVENT_PLUGIN_STATE, "upscale", "workflow", (int64_t)3, "running", to, "it crashed");
}

static void launch_failed(struct rig *r, const char *slug)
{
    bus_publish(r->p.bus, EVENT_FLEET_LAUNCH_FAILED, slug, "g5.xlarge", "capacity", "no Spot capacity available");
}

static void a_quarantined_plugin_is_told_with_its_reason(void **state)
{
    struct rig *r = begin(NULL);
    (void)state;
    plugin(r, "running");
    plugin(r, "draining");
    plugin(r, "quarantined");
    provider_until(&r->p, &r->sink.sent, 1);
    provider_turn(&r->p, 30);
    assert_int_equal(r->sink.sent, 1);
    assert_memory_equal(r->sink.text, "plugin-quarantined:upscale|bpd prod: plugin quarantined: upscale|", 65);
    assert_non_null(strstr(r->sink.text, "it crashed"));
    end(r);
}

static void refuse(struct rig *r, const char *name, const char *why)
{
    bus_publish(r->p.bus, EVENT_PLUGIN_STATE, name, "workflow", (int64_t)1, "found", "refused", why);
}

static void what_is_refused_together_is_told_together(void **state)
{
    struct rig *r = begin(NULL);
    char name[24];
    (void)state;
    refuse(r, "one", "its table is wrong");
    provider_until(&r->p, &r->sink.sent, 1);
    assert_non_null(strstr(r->sink.text, "plugin refused: one|The plugin one does not serve: its table is wrong. See"));
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "w%d", i);
        refuse(r, name, i ? "another" : "its plugin exec is refused");
    }
    provider_until(&r->p, &r->sink.sent, 2);
    provider_turn(&r->p, 30);
    assert_int_equal(r->sink.sent, 2);
    assert_non_null(strstr(r->sink.text, "plugin-refused:w0|"));
    assert_non_null(strstr(r->sink.text, "100 plugins and workflows do not serve: w0, w1, w2,"));
    assert_non_null(strstr(r->sink.text, ", ... The first because: its plugin exec is refused. See"));
    end(r);
}

static void a_canary_that_is_rolled_back_is_told_and_one_that_goes_well_not(void **state)
{
    struct rig *r = begin(NULL);
    (void)state;
    bus_publish(r->p.bus, EVENT_CANARY_DECIDED, "upscale", "2.0", "running", "10 % of the jobs are tried");
    bus_publish(r->p.bus, EVENT_CANARY_DECIDED, "upscale", "2.0", "promoted", "it serves");
    bus_publish(r->p.bus, EVENT_CANARY_DECIDED, "upscale", "2.1", "rolled-back", "job 7 failed on it");
    provider_until(&r->p, &r->sink.sent, 1);
    provider_turn(&r->p, 30);
    assert_int_equal(r->sink.sent, 1);
    assert_non_null(strstr(r->sink.text, "canary-rolled-back:upscale|"));
    assert_non_null(strstr(r->sink.text, "2.1"));
    assert_non_null(strstr(r->sink.text, "job 7 failed on it"));
    end(r);
}

static void launches_that_fail_in_a_row_are_told_once(void **state)
{
    struct rig *r = begin("notify.launchFailures=3");
    (void)state;
    launch_failed(r, "upscale");
    launch_failed(r, "upscale");
    launch_failed(r, "other");
    bus_publish(r->p.bus, EVENT_FLEET_INSTANCE, "upscale", "i-1", "pending", "running", "");
    launch_failed(r, "upscale");
    launch_failed(r, "upscale");
    provider_turn(&r->p, 30);
    assert_int_equal(r->sink.calls, 0);
    for (int i = 0; i < 5; i++)
        launch_failed(r, "upscale");
    provider_until(&r->p, &r->sink.sent, 1);
    provider_turn(&r->p, 30);
    assert_int_equal(r->sink.sent, 1);
    assert_non_null(strstr(r->sink.text, "launch-failures:upscale|"));
    assert_non_null(strstr(r->sink.text, "no Spot capacity available"));
    end(r);
}

static void a_broken_device_is_told(void **state)
{
    struct rig *r = begin(NULL);
    (void)state;
    bus_publish(r->p.bus, EVENT_WORKER_UNHEALTHY, "i-12", "Xid 79: it fell off the bus");
    provider_until(&r->p, &r->sink.sent, 1);
    assert_non_null(strstr(r->sink.text, "worker-unhealthy:i-12|bpd prod: broken device at i-12|"));
    assert_non_null(strstr(r->sink.text, "Xid 79: it fell off the bus"));
    end(r);
}

static void lacking_assets_are_told(void **state)
{
    struct rig *r = begin(NULL);
    (void)state;
    bus_publish(r->p.bus, EVENT_WORKER_ASSETS_MISSING, "w-1", "upscale", "m.bin: there is no object");
    provider_until(&r->p, &r->sink.sent, 1);
    assert_non_null(strstr(r->sink.text, "assets-missing:upscale|bpd prod: no assets for upscale|"));
    assert_non_null(strstr(r->sink.text, "m.bin: there is no object"));
    end(r);
}

static void jobs_that_fail_one_after_another_are_told_unless_one_succeeds(void **state)
{
    struct rig *r = begin("notify.failedJobs=3");
    (void)state;
    for (int i = 0; i < 2; i++)
        bus_publish(r->p.bus, EVENT_JOB_RETRY, (int64_t)1, "acme", "upscale", (int64_t)1, (int64_t)0, "CUDA error 700");
    bus_publish(r->p.bus, EVENT_JOB_COMPLETED, (int64_t)2, "acme", "upscale", "w", (int64_t)0, (int64_t)0);
    for (int i = 0; i < 2; i++)
        bus_publish(r->p.bus, EVENT_JOB_RETRY, (int64_t)1, "acme", "upscale", (int64_t)1, (int64_t)0, "CUDA error 700");
    provider_turn(&r->p, 30);
    assert_int_equal(r->sink.calls, 0);
    bus_publish(r->p.bus, EVENT_JOB_FAILED, (int64_t)1, "acme", "upscale", "w", "CUDA error 700");
    provider_until(&r->p, &r->sink.sent, 1);
    assert_non_null(strstr(r->sink.text, "jobs-fail:upscale|bpd prod: jobs fail for upscale|3 attempts"));
    assert_non_null(strstr(r->sink.text, "CUDA error 700"));
    end(r);
}

static void a_fleet_that_cannot_be_made_is_told(void **state)
{
    struct rig *r = begin(NULL);
    (void)state;
    bus_publish(r->p.bus, EVENT_FLEET_UNMADE, "upscale", "ec2:RunInstances is denied");
    provider_until(&r->p, &r->sink.sent, 1);
    assert_non_null(strstr(r->sink.text, "fleet-unmade:upscale|"));
    assert_non_null(strstr(r->sink.text, "ec2:RunInstances is denied"));
    end(r);
}

static void a_queue_away_for_a_moment_wakes_nobody(void **state)
{
    struct rig *r = begin(NULL);
    (void)state;
    bus_publish(r->p.bus, EVENT_QUEUE_STATE, "down", "connection refused");
    provider_turn(&r->p, 50);
    bus_publish(r->p.bus, EVENT_QUEUE_STATE, "up", "");
    provider_turn(&r->p, 50);
    assert_int_equal(r->sink.calls, 0);
    end(r);
}

static void turned_off_nothing_is_sent(void **state)
{
    struct rig *r = begin("notify.alerts=false");
    (void)state;
    plugin(r, "quarantined");
    provider_turn(&r->p, 50);
    assert_int_equal(r->sink.calls, 0);
    end(r);
}

static void what_nobody_is_to_be_told_is_not_tried_again(void **state)
{
    struct rig *r = begin(NULL);
    (void)state;
    atomic_store(&r->sink.rc, BP_UNSUPPORTED);
    plugin(r, "quarantined");
    provider_until(&r->p, &r->sink.calls, 1);
    atomic_store(&r->sink.rc, 0);
    bus_publish(r->p.bus, EVENT_FLEET_UNMADE, "upscale", "denied"); /* the next one is sent at once */
    provider_until(&r->p, &r->sink.sent, 1);
    assert_null(strstr(r->sink.text, "quarantined"));
    end(r);
}

static void subjects_and_keys_stay_within_their_bounds(void **state)
{
    struct rig *r = begin(NULL);
    char slug[121];
    (void)state;
    memset(slug, 'w', 120);
    slug[120] = 0;
    bus_publish(r->p.bus, EVENT_FLEET_UNMADE, slug, "denied");
    provider_until(&r->p, &r->sink.sent, 1);
    assert_in_range(strcspn(r->sink.text, "|"), 1, 119);
    assert_in_range(strcspn(strchr(r->sink.text, '|') + 1, "|"), 1, 100);
    end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quarantined_plugin_is_told_with_its_reason),
        cmocka_unit_test(what_is_refused_together_is_told_together),
        cmocka_unit_test(a_canary_that_is_rolled_back_is_told_and_one_that_goes_well_not),
        cmocka_unit_test(launches_that_fail_in_a_row_are_told_once),
        cmocka_unit_test(a_broken_device_is_told),
        cmocka_unit_test(lacking_assets_are_told),
        cmocka_unit_test(jobs_that_fail_one_after_another_are_told_unless_one_succeeds),
        cmocka_unit_test(a_fleet_that_cannot_be_made_is_told),
        cmocka_unit_test(a_queue_away_for_a_moment_wakes_nobody),
        cmocka_unit_test(turned_off_nothing_is_sent),
        cmocka_unit_test(what_nobody_is_to_be_told_is_not_tried_again),
        cmocka_unit_test(subjects_and_keys_stay_within_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
