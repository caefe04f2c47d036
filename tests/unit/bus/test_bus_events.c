/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/bus.h"
#include "cm.h"
#include "log/json.h"
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SEEN_MAX 4096

struct fixture {
    struct loop *loop;
    struct bus *bus;
    enum event_id ids[SEEN_MAX];
    int64_t seqs[SEEN_MAX];
    int n;
    int wakes;
    struct subscription *other;
    struct feed *feed;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->loop = loop_new();
    f->bus = bus_new(f->loop);
    *state = f;
    return f->bus ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    bus_free(f->bus);
    loop_free(f->loop);
    free(f);
    return 0;
}

static void note(const struct event_msg *e, void *arg)
{
    struct fixture *f = arg;
    assert_true(f->n < SEEN_MAX);
    f->ids[f->n] = e->id;
    f->seqs[f->n++] = e->seq;
}

static void submit(struct fixture *f, int64_t job)
{
    bus_publish(f->bus, EVENT_JOB_SUBMITTED, job, "acme", "image-to-video", (int64_t)5);
}

static void stop(void *arg)
{
    loop_stop(((struct fixture *)arg)->loop);
}

static void run_posted(struct fixture *f)
{
    loop_post(f->loop, "test", stop, f);
    loop_run(f->loop);
}

/* ---- the table ---- */

static void every_row_of_the_table_is_sound(void **state)
{
    (void)state;
    for (int i = EVENT_NONE + 1; i < EVENT_END; i++) {
        const struct event_info *info = event_info((enum event_id)i);
        char *fields = strdup(info->fields), *rest = NULL;
        int n = 0;
        assert_true(info->help[0]);
        assert_int_equal(event_find(info->name), i);
        assert_int_equal(event_match(info->name), 1);
        for (char *w = strtok_r(fields, " ", &rest); w; w = strtok_r(NULL, " ", &rest), n++) {
            assert_true(strchr("ifs", w[0]) && w[1] == ':' && strlen(w) > 2 && strlen(w) < 34);
            assert_string_not_equal(w + 2, "seq");
            assert_string_not_equal(w + 2, "at_ms");
            assert_string_not_equal(w + 2, "event");
        }
        assert_true(n >= 1 && n <= 8);
        free(fields);
    }
    assert_int_equal(event_find("job.none"), EVENT_NONE);
    assert_int_equal(event_match("*"), EVENT_END - 1);
    assert_int_equal(event_match("nothing.*"), 0);
}

static void an_event_carries_its_fields_seq_and_time_as_json(void **state)
{
    struct fixture *f = *state;
    f->feed = bus_feed_new(f->bus, "*", 4, NULL, NULL);
    bus_publish(f->bus, EVENT_JOB_PROGRESS, (int64_t)-7, "acme", NULL, 0.25, "half \"done\"");
    struct event_msg *e = bus_feed_next(f->feed);
    char *text = event_json(e);
    struct json_object *o = json_parse(text, strlen(text), NULL);
    assert_string_equal(json_str(o, "event", ""), "job.progress");
    assert_int_equal(json_int(o, "seq", 0), 1);
    assert_true(json_int(o, "at_ms", 0) > 1600000000000);
    assert_int_equal(json_int(o, "job", 0), -7);
    assert_string_equal(json_str(o, "workflow", "-"), ""); /* NULL reads as empty */
    assert_true(json_num(o, "fraction", 0) == 0.25);
    assert_string_equal(json_str(o, "text", ""), "half \"done\"");
    assert_int_equal(json_object_object_length(o), 8);
    json_object_put(o);
    free(text);
    event_unref(e);
    bus_feed_free(f->feed);
}

/* ---- who gets what ---- */

static void patterns_choose_by_name_prefix_or_everything(void **state)
{
    static const struct {
        const char *pattern;
        int seen;
    } rows[] = {{"job.submitted", 1}, {"job.*", 2}, {"*", 3}, {"job", 0}, {"fleet.*", 0}, {"core.state", 1}};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        f->n = 0;
        struct subscription *s = bus_subscribe(f->bus, rows[i].pattern, note, f);
        submit(f, 1);
        bus_publish(f->bus, EVENT_JOB_CANCELLED, (int64_t)1, "acme", "w", "me");
        bus_publish(f->bus, EVENT_CORE_STATE, "ready", "");
        assert_int_equal(f->n, rows[i].seen);
        bus_unsubscribe(s);
        submit(f, 2);
        assert_int_equal(f->n, rows[i].seen);
    }
    bus_unsubscribe(NULL);
}

static void publishing_to_nobody_allocates_nothing_but_counts(void **state)
{
    struct fixture *f = *state;
    struct subscription *s = bus_subscribe(f->bus, "core.state", note, f);
    submit(f, 0);
    size_t before = mallinfo2().uordblks;
    for (int i = 1; i < 3000; i++)
        submit(f, i);
    assert_int_equal(mallinfo2().uordblks, before);
    bus_publish(f->bus, EVENT_CORE_STATE, "ready", "");
    assert_int_equal(f->seqs[0], 3001);
    bus_unsubscribe(s);
}

static void publish_inside(const struct event_msg *e, void *arg)
{
    struct fixture *f = arg;
    if (e->id == EVENT_JOB_SUBMITTED) {
        bus_publish(f->bus, EVENT_JOB_LEASED, (int64_t)1, "t", "w", "i-1", (int64_t)1, (int64_t)0);
        bus_publish(f->bus, EVENT_JOB_COMPLETED, (int64_t)1, "t", "w", "i-1", (int64_t)1, (int64_t)0);
    } else if (e->id == EVENT_JOB_LEASED) {
        bus_publish(f->bus, EVENT_JOB_RETRY, (int64_t)1, "t", "w", (int64_t)1, (int64_t)0, "why");
    }
}

static void events_published_by_a_subscriber_reach_all_in_order_of_seq(void **state)
{
    static const enum event_id order[] = {EVENT_JOB_SUBMITTED, EVENT_JOB_LEASED, EVENT_JOB_COMPLETED, EVENT_JOB_RETRY};
    struct fixture *f = *state;
    struct subscription *a = bus_subscribe(f->bus, "*", publish_inside, f);
    struct subscription *b = bus_subscribe(f->bus, "*", note, f);
    submit(f, 1);
    assert_int_equal(f->n, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(f->ids[i], order[i]);
        assert_int_equal(f->seqs[i], i + 1);
    }
    bus_unsubscribe(a);
    bus_unsubscribe(b);
}

static void drop_other(const struct event_msg *e, void *arg)
{
    struct fixture *f = arg;
    (void)e;
    bus_unsubscribe(f->other);
    f->other = NULL;
}

static void who_is_unsubscribed_during_an_event_does_not_get_it(void **state)
{
    struct fixture *f = *state;
    struct subscription *a = bus_subscribe(f->bus, "core.state", drop_other, f);
    f->other = bus_subscribe(f->bus, "*", note, f);
    bus_publish(f->bus, EVENT_CORE_STATE, "ready", "");
    assert_int_equal(f->n, 0);
    bus_unsubscribe(a);
}

static void join_now(const struct event_msg *e, void *arg)
{
    struct fixture *f = arg;
    (void)e;
    if (f->other)
        return;
    f->other = bus_subscribe(f->bus, "*", note, f);
    submit(f, 1);
}

static void who_subscribes_during_an_event_gets_the_next_ones_only(void **state)
{
    struct fixture *f = *state;
    struct subscription *a = bus_subscribe(f->bus, "core.state", join_now, f);
    bus_publish(f->bus, EVENT_CORE_STATE, "ready", "");
    assert_int_equal(f->n, 1);
    assert_int_equal(f->ids[0], EVENT_JOB_SUBMITTED);
    bus_unsubscribe(a);
    bus_unsubscribe(f->other);
}

/* ---- feeds ---- */

static void woken(void *arg)
{
    ((struct fixture *)arg)->wakes++;
}

static void a_slow_feed_loses_the_oldest_counts_them_and_is_woken_once(void **state)
{
    struct fixture *f = *state;
    f->feed = bus_feed_new(f->bus, "job.*", 3, woken, f);
    for (int i = 1; i <= 10; i++)
        submit(f, i);
    assert_int_equal(f->wakes, 1);
    assert_int_equal(bus_feed_lost(f->feed), 7);
    assert_int_equal(bus_feed_lost(f->feed), 0); /* told */
    for (int64_t job = 8; job <= 10; job++) {
        struct event_msg *e = bus_feed_next(f->feed);
        assert_int_equal(json_int(event_fields(e), "job", 0), job);
        event_unref(e);
    }
    assert_null(bus_feed_next(f->feed));
    submit(f, 11);
    assert_int_equal(f->wakes, 2);
    bus_feed_free(f->feed); /* with an event inside */
    bus_feed_free(NULL);
}

static void free_feed(void *arg)
{
    struct fixture *f = arg;
    bus_feed_free(f->feed);
    f->feed = NULL;
}

static void a_feed_may_be_freed_by_its_own_wake(void **state)
{
    struct fixture *f = *state;
    f->feed = bus_feed_new(f->bus, "*", 3, free_feed, f);
    submit(f, 1);
    assert_null(f->feed);
    submit(f, 2);
}

/* ---- recent ---- */

static void recent_events_are_there_though_nobody_listened(void **state)
{
    struct fixture *f = *state;
    for (int i = 1; i <= 1500; i++) {
        submit(f, i);
        if (i % 500 == 0)
            bus_publish(f->bus, EVENT_CORE_STATE, "ready", "");
    }
    bus_recent(f->bus, "*", 5000, note, f);
    assert_int_equal(f->n, 1000);
    assert_int_equal(f->seqs[0], 504);
    assert_int_equal(f->seqs[999], 1503);
    f->n = 0;
    bus_recent(f->bus, "core.*", 10, note, f);
    assert_int_equal(f->n, 2);
    f->n = 0;
    bus_recent(f->bus, "job.*", 3, note, f);
    assert_int_equal(f->n, 3);
    assert_int_equal(f->seqs[2], 1502);
}

static void check_text(const struct event_msg *e, void *arg)
{
    struct fixture *f = arg;
    const char *reason = json_str(event_fields(e), "reason", "");
    assert_int_equal(strlen(reason), (size_t)(e->seq * 37 % 4096));
    assert_int_equal(strspn(reason, "r"), strlen(reason));
    f->seqs[f->n++] = e->seq;
}

static void long_texts_push_older_events_out_and_never_mix(void **state)
{
    struct fixture *f = *state;
    char text[4097];
    for (int64_t seq = 1; seq <= 2500; seq++) {
        memset(text, 'r', sizeof text);
        text[seq * 37 % 4096] = 0;
        bus_publish(f->bus, EVENT_CORE_STATE, "s", text);
        if (seq % 250 != 0)
            continue;
        f->n = 0;
        bus_recent(f->bus, "*", 1000, check_text, f);
        assert_true(f->n > 50 && f->n <= 1000);
        for (int i = 0; i < f->n; i++)
            assert_int_equal(f->seqs[i], seq - f->n + 1 + i);
    }
}

static void a_text_beyond_4096_bytes_is_cut_between_characters(void **state)
{
    struct fixture *f = *state;
    char text[6001];
    for (int i = 0; i < 6000; i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3);
    text[6000] = 0;
    f->feed = bus_feed_new(f->bus, "*", 2, NULL, NULL);
    bus_publish(f->bus, EVENT_CORE_STATE, "s", text);
    struct event_msg *e = bus_feed_next(f->feed);
    assert_int_equal(strlen(json_str(event_fields(e), "reason", "")), 4095);
    event_unref(e);
    bus_feed_free(f->feed);
}

/* ---- from JSON ---- */

static void json_fields_are_checked_against_the_table(void **state)
{
    static const struct {
        const char *name, *fields, *says;
    } rows[] = {
        {"core.stat", "{}", "did you mean \"core.state\""},
        {"core.state", "{\"state\":\"x\"}", "field reason is missing"},
        {"core.state", "{\"state\":\"x\",\"reason\":1}", "field reason must be text"},
        {"core.state", "{\"state\":\"x\",\"reason\":\"y\",\"z\":1}", "has no field z"},
        {"core.state", "{\"state\":", "event core.state: line 1"},
        {"core.state", "[]", "must be a JSON object"},
        {"core.state", NULL, "is missing"},
        {"loop.slow", "{\"name\":\"x\",\"ms\":1.5}", "field ms must be an integer"},
    };
    struct fixture *f = *state;
    struct bp_err err;
    struct subscription *s = bus_subscribe(f->bus, "*", note, f);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(bus_publish_json(f->bus, rows[i].name, rows[i].fields, &err), BP_INVALID);
        if (!strstr(err.text, rows[i].says))
            fail_msg("\"%s\" does not say \"%s\"", err.text, rows[i].says);
    }
    assert_int_equal(bus_publish_json(f->bus, "core.state", "[", NULL), BP_INVALID);
    assert_int_equal(f->n, 0);
    assert_int_equal(bus_publish_json(f->bus, "core.state", "{\"reason\":\"y\",\"state\":\"x\"}", &err), 0);
    assert_int_equal(f->n, 1);
    bus_unsubscribe(s);
}

static void *publish_many(void *arg)
{
    struct fixture *f = arg;
    for (int i = 0; i < 500; i++)
        bus_publish_json(f->bus, "job.progress",
                         "{\"job\":1,\"tenant\":\"t\",\"workflow\":\"w\",\"fraction\":1,\"text\":\"\"}", NULL);
    return NULL;
}

static void other_threads_publish_through_the_loop(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[3];
    struct subscription *s = bus_subscribe(f->bus, "job.progress", note, f);
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, publish_many, f);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    run_posted(f);
    assert_int_equal(f->n, 1500);
    for (int i = 0; i < 1500; i++)
        assert_int_equal(f->seqs[i], i + 1);
    bus_unsubscribe(s);
}

static void what_was_posted_before_the_bus_is_freed_is_released(void **state)
{
    struct fixture *f = *state;
    pthread_t t;
    pthread_create(&t, NULL, publish_many, f);
    pthread_join(t, NULL); /* teardown frees bus and loop with 500 events posted: the sanitizer watches */
    assert_int_equal(f->n, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_row_of_the_table_is_sound),
        T(an_event_carries_its_fields_seq_and_time_as_json),
        T(patterns_choose_by_name_prefix_or_everything),
        T(publishing_to_nobody_allocates_nothing_but_counts),
        T(events_published_by_a_subscriber_reach_all_in_order_of_seq),
        T(who_is_unsubscribed_during_an_event_does_not_get_it),
        T(who_subscribes_during_an_event_gets_the_next_ones_only),
        T(a_slow_feed_loses_the_oldest_counts_them_and_is_woken_once),
        T(a_feed_may_be_freed_by_its_own_wake),
        T(recent_events_are_there_though_nobody_listened),
        T(long_texts_push_older_events_out_and_never_mix),
        T(a_text_beyond_4096_bytes_is_cut_between_characters),
        T(json_fields_are_checked_against_the_table),
        T(other_threads_publish_through_the_loop),
        T(what_was_posted_before_the_bus_is_freed_is_released),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
