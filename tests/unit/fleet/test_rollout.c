/* SPDX-License-Identifier: Apache-2.0 */
/* Images and roll-outs: idle instances are the provider's to replace, those that work are drained, few at a time. */
#include "fleet/fixture.h"

#include <stdio.h>
#include <string.h>

struct heard {
    int n, rc;
    char text[1024]; /* the answer, or the error */
};

static void hear(const struct bp_err *err, struct json_object *answer, void *arg)
{
    struct heard *h = arg;
    h->n++;
    h->rc = err->rc;
    snprintf(h->text, sizeof h->text, "%s", err->rc < 0 ? err->text : json_text(answer));
}

static int is_heard(struct rig *r, const void *arg)
{
    (void)r;
    return ((const struct heard *)arg)->n > 0;
}

static void say(struct fixture *f, const char *rollout)
{
    pthread_mutex_lock(&f->rig->lock);
    snprintf(f->rig->rollout, sizeof f->rig->rollout, "%s", rollout);
    pthread_mutex_unlock(&f->rig->lock);
}

static struct heard roll(struct fixture *f, int32_t what)
{
    struct heard h = {0};
    fleet_rollout(f->fleets, "photo", what, hear, &h);
    rig_until(f->rig, is_heard, &h);
    return h;
}

#define PENDING    "{\"id\":\"r-1\",\"status\":\"pending\",\"running\":true,\"percent\":0}"
#define RUNNING    "{\"id\":\"r-1\",\"status\":\"running\",\"running\":true,\"percent\":40,\"left\":2}"
#define SUCCESSFUL "{\"id\":\"r-1\",\"status\":\"successful\",\"running\":false,\"percent\":100,\"left\":0}"
#define FAILED     "{\"id\":\"r-1\",\"status\":\"failed\",\"running\":false,\"percent\":40,\"reason\":\"no capacity\"}"

/* The rig's clock and its machines: those of begin() booted 8 s ago, so they are old. */
static void start(struct fixture *f, int machines)
{
    begin(f, machines, NEVER);
    say(f, PENDING);
    struct heard h = roll(f, BP_ROLLOUT_START);
    assert_int_equal(h.rc, 0);
    rig_until_event(f->rig, EVENT_FLEET_ROLLOUT, 1);
}

static void while_the_provider_is_at_it_only_busy_ones_are_drained_one_at_a_time(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 3, NEVER);
    rig_lease(f.rig, "i-1", 1);
    rig_lease(f.rig, "i-2", 1);
    until_counts(&f, 3, 0, 2);
    say(&f, RUNNING);
    assert_int_equal(roll(&f, BP_ROLLOUT_START).rc, 0);
    rig_until_call(f.rig, "drain i-2");
    look(&f);
    look(&f);
    assert_int_equal(rig_calls(f.rig, "drain i-1"), 0); /* its turn comes when i-2 has ended */
    assert_int_equal(rig_calls(f.rig, "drain i-2"), 1);
    assert_int_equal(rig_calls(f.rig, "drain i-3"), 0); /* it is idle */
    assert_int_equal(rig_calls(f.rig, "terminate"), 0);
    end(&f);
}

static void it_ends_when_no_old_instance_is_left_and_kills_no_work(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 2, NEVER);
    rig_lease(f.rig, "i-1", 1);
    until_counts(&f, 2, 0, 1);
    say(&f, SUCCESSFUL); /* the provider passes the busy one over, and here also the idle one */
    assert_int_equal(roll(&f, BP_ROLLOUT_START).rc, 0);
    rig_until_call(f.rig, "terminate photo i-2");
    look(&f);
    rig_until_call(f.rig, "drain i-1");
    struct heard h = roll(&f, BP_ROLLOUT_STATUS);
    assert_non_null(strstr(h.text, "\"draining\""));
    assert_non_null(strstr(h.text, "\"running\":true"));
    assert_int_equal(rig_calls(f.rig, "terminate photo i-1"), 0);
    rig_lease(f.rig, "i-1", 0);
    rig_until_call(f.rig, "terminate photo i-1");
    rig_until_event(f.rig, EVENT_FLEET_ROLLOUT, 1);
    assert_non_null(strstr(f.rig->last_event[EVENT_FLEET_ROLLOUT], "\"successful\""));
    assert_int_equal(f.rig->busy_ended, 0);
    h = roll(&f, BP_ROLLOUT_STATUS);
    assert_null(strstr(h.text, "\"running\":true"));
    end(&f);
}

static void growth_takes_no_instance_back_that_is_rolled_out(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1, NEVER);
    rig_lease(f.rig, "i-1", 1);
    until_counts(&f, 1, 0, 1);
    say(&f, RUNNING);
    assert_int_equal(roll(&f, BP_ROLLOUT_START).rc, 0);
    rig_until_call(f.rig, "drain i-1");
    look(&f);
    assert_int_equal(resize(&f, 1), 0);
    rig_until_call(f.rig, "grow photo 2");
    assert_int_equal(rig_calls(f.rig, "undrain"), 0);
    end(&f);
}

static void aborting_lets_the_drained_ones_go_on(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1, NEVER);
    rig_lease(f.rig, "i-1", 1);
    until_counts(&f, 1, 0, 1);
    say(&f, RUNNING);
    assert_int_equal(roll(&f, BP_ROLLOUT_START).rc, 0);
    rig_until_call(f.rig, "drain i-1");
    look(&f);
    say(&f, "{\"id\":\"r-1\",\"status\":\"cancelling\",\"running\":true,\"percent\":0}");
    assert_int_equal(roll(&f, BP_ROLLOUT_ABORT).rc, 0);
    rig_until_call(f.rig, "undrain i-1");
    assert_non_null(strstr(f.rig->last_event[EVENT_FLEET_ROLLOUT], "\"cancelling\""));
    end(&f);
}

static void a_failed_one_is_told_with_its_reason_and_drains_no_more(void **state)
{
    struct fixture f;
    (void)state;
    start(&f, 2);
    say(&f, FAILED);
    rig_lease(f.rig, "i-1", 1);
    assert_int_equal(roll(&f, BP_ROLLOUT_STATUS).rc, 0);
    rig_until_event(f.rig, EVENT_FLEET_ROLLOUT, 2);
    assert_non_null(strstr(f.rig->last_event[EVENT_FLEET_ROLLOUT], "no capacity"));
    rig_forget_calls(f.rig);
    look(&f);
    look(&f);
    assert_int_equal(rig_calls(f.rig, "drain"), 0);
    end(&f);
}

static void one_begun_by_an_earlier_process_is_taken_up_when_it_is_asked_for(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1, NEVER);
    rig_lease(f.rig, "i-1", 1);
    until_counts(&f, 1, 0, 1);
    say(&f, RUNNING);
    assert_int_equal(roll(&f, BP_ROLLOUT_STATUS).rc, 0);
    look(&f);
    rig_until_call(f.rig, "drain i-1");
    end(&f);
}

static void what_the_provider_refuses_is_told_and_starts_nothing(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1, NEVER);
    rig_lease(f.rig, "i-1", 1);
    atomic_store(&f.rig->rollout_rc, BP_CONFLICT);
    struct heard h = roll(&f, BP_ROLLOUT_START);
    assert_int_equal(h.rc, BP_CONFLICT);
    assert_string_equal(h.text, "the test said so");
    look(&f);
    assert_int_equal(rig_calls(f.rig, "drain"), 0);
    end(&f);
}

static void an_image_is_set_for_one_workflow_and_published_when_it_changed(void **state)
{
    struct fixture f;
    struct heard h = {0};
    const struct image_wish wish = {.slug = "photo", .ami = "ami-2", .who = "operator:0", .force = 1};
    (void)state;
    begin(&f, 0, NEVER);
    snprintf(f.rig->image, sizeof f.rig->image,
             "{\"parameter\":\"/bp/ami\",\"ami\":\"ami-2\",\"before\":\"ami-1\",\"changed\":true}");
    fleet_image_set(f.fleets, &wish, hear, &h);
    rig_until(f.rig, is_heard, &h);
    assert_int_equal(h.rc, 0);
    assert_int_equal(rig_calls(f.rig, "image photo ami-2 1"), 1);
    rig_until_event(f.rig, EVENT_FLEET_IMAGE, 1);
    assert_non_null(strstr(f.rig->last_event[EVENT_FLEET_IMAGE], "\"from\":\"ami-1\""));
    assert_non_null(strstr(h.text, "\"workflow\":\"photo\""));
    end(&f);
}

static void the_images_of_all_workflows_are_one_question(void **state)
{
    struct fixture f;
    struct heard h = {0};
    (void)state;
    begin(&f, 0, NEVER);
    snprintf(f.rig->image, sizeof f.rig->image, "not JSON");
    fleet_images(f.fleets, NULL, hear, &h);
    rig_until(f.rig, is_heard, &h);
    assert_int_equal(h.rc, 0);
    assert_int_equal(rig_calls(f.rig, "image photo - 0"), 1);
    assert_non_null(strstr(h.text, "\"error\""));
    assert_int_equal(f.rig->events[EVENT_FLEET_IMAGE], 0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(while_the_provider_is_at_it_only_busy_ones_are_drained_one_at_a_time),
        cmocka_unit_test(it_ends_when_no_old_instance_is_left_and_kills_no_work),
        cmocka_unit_test(growth_takes_no_instance_back_that_is_rolled_out),
        cmocka_unit_test(aborting_lets_the_drained_ones_go_on),
        cmocka_unit_test(a_failed_one_is_told_with_its_reason_and_drains_no_more),
        cmocka_unit_test(one_begun_by_an_earlier_process_is_taken_up_when_it_is_asked_for),
        cmocka_unit_test(what_the_provider_refuses_is_told_and_starts_nothing),
        cmocka_unit_test(an_image_is_set_for_one_workflow_and_published_when_it_changed),
        cmocka_unit_test(the_images_of_all_workflows_are_one_question),
    };
    return cmocka_run_group_tests_name("fleet_rollout", tests, NULL, NULL);
}
