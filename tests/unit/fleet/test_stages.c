/* SPDX-License-Identifier: Apache-2.0 */
/* How far new instances have come is told once a stage, with right times, from what is in the queue. */
#include "fleet/fixture.h"

#include <stdio.h>
#include <string.h>

/* The stages told so far, each with its seconds: "requested 0, running 2, ". */
static char told[1024];

static void note(const struct event_msg *e, void *arg)
{
    struct json_object *o = event_fields(e);
    size_t n = strlen(told);
    (void)arg;
    snprintf(told + n, sizeof told - n, "%s %lld, ", json_str(o, "stage", ""),
             (long long)json_int(o, "after_ms", 0) / 1000);
}

static struct subscription *listening(struct fixture *f)
{
    told[0] = 0;
    return bus_subscribe(f->rig->bus, "fleet.boot", note, NULL);
}

static void finish(struct fixture *f, struct subscription *s)
{
    bus_unsubscribe(s);
    end(f);
}

static struct machine *add(struct fixture *f, int64_t launched_ms)
{
    pthread_mutex_lock(&f->rig->lock);
    struct machine *m = &f->rig->machines[f->rig->n_machines++];
    memset(m, 0, sizeof *m);
    snprintf(m->instance.id, sizeof m->instance.id, "i-9");
    m->instance.state = BP_INSTANCE_PENDING;
    m->instance.launched_ms = launched_ms;
    pthread_mutex_unlock(&f->rig->lock);
    return m;
}

static void runs(struct fixture *f, struct machine *m, int64_t at_ms)
{
    pthread_mutex_lock(&f->rig->lock);
    m->instance.state = BP_INSTANCE_RUNNING;
    m->instance.running_ms = at_ms;
    pthread_mutex_unlock(&f->rig->lock);
    look(f);
}

static void registers(struct fixture *f, struct machine *m, int64_t at_ms, const char *capabilities)
{
    pthread_mutex_lock(&f->rig->lock);
    m->has_worker = 1;
    m->registered_ms = at_ms;
    m->capabilities = capabilities;
    pthread_mutex_unlock(&f->rig->lock);
    look(f);
}

/* As the queue remembers it: the newest job, taken by that worker. */
static void took(struct fixture *f, const char *worker, int64_t at_ms)
{
    pthread_mutex_lock(&f->rig->lock);
    f->rig->past[0] = (struct bp_job_row){.size = sizeof f->rig->past[0],
                                          .id = 7,
                                          .status = BP_JOB_COMPLETED,
                                          .workflow = "photo",
                                          .worker = worker,
                                          .leased_ms = at_ms};
    f->rig->n_past = 1;
    pthread_mutex_unlock(&f->rig->lock);
}

static int is_told(struct rig *r, const void *arg)
{
    (void)r;
    return strstr(told, arg) != NULL;
}

static void each_stage_is_told_once_with_the_time_since_the_launch(void **state)
{
    struct fixture f;
    char health[64];
    (void)state;
    begin(&f, 0, 100);
    struct subscription *s = listening(&f);
    int64_t now = loop_now_ms(f.rig->loop), launched = now - 100000;
    struct machine *m = add(&f, launched);
    look(&f);
    assert_string_equal(told, "requested 0, ");
    runs(&f, m, launched + 20000);
    registers(&f, m, launched + 60000, NULL);
    snprintf(health, sizeof health, "{\"health\":{\"ok\":true,\"sound_ms\":%lld}}", (long long)launched + 70000);
    registers(&f, m, launched + 60000, health);
    took(&f, "i-9", launched + 80000); /* with another controller: no event of it comes here */
    rig_until(f.rig, is_told, "first_job 80, ");
    registers(&f, m, launched + 90000, health); /* it came up again: that is no boot */
    look(&f);
    assert_string_equal(told, "requested 0, running 20, registered 60, device_ready 70, ready 70, first_job 80, ");
    finish(&f, s);
}

/* Its launch, its worker and its first job lie between two looks. */
static void one_that_came_up_between_two_looks_is_told_whole(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 0, NEVER);
    struct subscription *s = listening(&f);
    int64_t launched = loop_now_ms(f.rig->loop) - 50000;
    struct machine *m = add(&f, launched);
    pthread_mutex_lock(&f.rig->lock);
    m->instance.state = BP_INSTANCE_RUNNING;
    m->instance.running_ms = launched + 5000;
    pthread_mutex_unlock(&f.rig->lock);
    registers(&f, m, launched + 9000, "{\"health\":{\"ok\":false}}");
    assert_string_equal(told, "requested 0, running 5, registered 9, ");
    bus_publish(f.rig->bus, EVENT_JOB_LEASED, (int64_t)1, "acme", "photo", "i-9", (int64_t)1, (int64_t)0);
    look(&f);
    assert_non_null(strstr(told, "first_job 50, "));
    look(&f);
    assert_null(strstr(told, ", ready")); /* with a broken device it serves nobody */
    finish(&f, s);
}

/* As workers of the field: what they can do shows when they do it, or when they have stood there for a minute. */
static void of_a_worker_that_says_nothing_of_its_device_the_boot_ends_when_it_registers(void **state)
{
    (void)state;
    for (int idle = 0; idle < 2; idle++) {
        struct fixture f;
        begin(&f, 0, NEVER);
        struct subscription *s = listening(&f);
        int64_t launched = loop_now_ms(f.rig->loop) - 100000;
        struct machine *m = add(&f, launched);
        registers(&f, m, launched + (idle ? 39000 : 90000), NULL);
        if (!idle) {
            assert_null(strstr(told, ", ready"));
            bus_publish(f.rig->bus, EVENT_JOB_LEASED, (int64_t)1, "acme", "photo", "i-9", (int64_t)1, (int64_t)0);
            look(&f);
            look(&f);
        }
        assert_non_null(strstr(told, idle ? ", ready 39, " : ", ready 90, "));
        finish(&f, s);
    }
}

/* What was there before this process looked has been told by another one. */
static void of_instances_that_are_met_only_what_follows_is_told(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1, 100);
    struct subscription *s = listening(&f);
    look(&f);
    took(&f, "i-1", loop_now_ms(f.rig->loop));
    rig_until(f.rig, is_told, "first_job 8, ");
    assert_string_equal(told, "first_job 8, ");
    finish(&f, s);
}

/* A worker's clock may be anywhere. */
static void a_time_that_cannot_be_is_the_time_of_the_look(void **state)
{
    static const char *const odd[] = {"{\"health\":{\"ok\":true,\"sound_ms\":9999999999999}}",
                                      "{\"health\":{\"ok\":true,\"sound_ms\":-5}}", "{\"health\":{\"ok\":true}}"};
    (void)state;
    for (int k = 0; k < 3; k++) {
        struct fixture f;
        begin(&f, 0, NEVER);
        struct subscription *s = listening(&f);
        int64_t launched = loop_now_ms(f.rig->loop) - 40000;
        struct machine *m = add(&f, launched);
        registers(&f, m, launched + 30000, odd[k]);
        assert_non_null(strstr(told, "device_ready 40, "));
        finish(&f, s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_stage_is_told_once_with_the_time_since_the_launch),
        cmocka_unit_test(one_that_came_up_between_two_looks_is_told_whole),
        cmocka_unit_test(of_a_worker_that_says_nothing_of_its_device_the_boot_ends_when_it_registers),
        cmocka_unit_test(of_instances_that_are_met_only_what_follows_is_told),
        cmocka_unit_test(a_time_that_cannot_be_is_the_time_of_the_look),
    };
    return cmocka_run_group_tests_name("fleet_stages", tests, NULL, NULL);
}
