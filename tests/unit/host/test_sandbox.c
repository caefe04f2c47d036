/* SPDX-License-Identifier: Apache-2.0 */
/* What a workflow asks its sandbox to leave open, and what an operator takes away of that. */
#include "host/rig.h"
#include "log/json.h"
#include "pluginfile/sandbox.h"

static struct json_object *parsed(const char *text)
{
    struct bp_err err = {0};
    struct json_object *o = text ? json_parse(text, strlen(text), &err) : NULL;
    assert_true(!text || o);
    assert_true(!o || sandbox_check(o, &err) == BP_OK);
    return o;
}

struct narrowing {
    const char *asked, *allowed, *both;
};

#define ALL "{\"network\":\"loopback\",\"exec\":true,\"read\":[\"/opt/models\",\"/srv/a/b\"]}"

static const struct narrowing narrowings[] = {
    {NULL, NULL, "{\"network\":\"none\",\"exec\":false,\"read\":[]}"},
    {"{}", "{\"network\":\"loopback\",\"exec\":true,\"read\":[\"/a\"]}",
     "{\"network\":\"none\",\"exec\":false,\"read\":[]}"}, /* an operator never widens */
    {ALL, NULL, ALL},
    {ALL, "{}", ALL},
    {ALL, ALL, ALL},
    {ALL, "{\"network\":\"none\"}", "{\"network\":\"none\",\"exec\":true,\"read\":[\"/opt/models\",\"/srv/a/b\"]}"},
    {ALL, "{\"exec\":false}", "{\"network\":\"loopback\",\"exec\":false,\"read\":[\"/opt/models\",\"/srv/a/b\"]}"},
    {ALL, "{\"read\":[]}", "{\"network\":\"loopback\",\"exec\":true,\"read\":[]}"},
    {ALL, "{\"read\":[\"/srv\"]}", "{\"network\":\"loopback\",\"exec\":true,\"read\":[\"/srv/a/b\"]}"},
    {ALL, "{\"read\":[\"/opt/models/one\",\"/opt/models/two\"]}",
     "{\"network\":\"loopback\",\"exec\":true,\"read\":[\"/opt/models/one\",\"/opt/models/two\"]}"},
    {ALL, "{\"read\":[\"/opt/mod\",\"/srv/a/b2\"]}", "{\"network\":\"loopback\",\"exec\":true,\"read\":[]}"},
};

static void an_operator_takes_away_and_never_gives(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(narrowings) / sizeof(narrowings[0]); i++) {
        struct json_object *asked = parsed(narrowings[i].asked), *allowed = parsed(narrowings[i].allowed);
        struct json_object *both = sandbox_narrow(asked, allowed);
        assert_string_equal(json_text(both), narrowings[i].both);
        json_object_put(asked);
        json_object_put(allowed);
        json_object_put(both);
    }
}

static void a_list_of_paths_is_bounded(void **state)
{
    (void)state;
    struct bp_err err = {0};
    struct json_object *o = json_object_new_object(), *list = json_object_new_array();
    for (int i = 0; i <= SANDBOX_READS; i++)
        json_object_array_add(list, json_object_new_string("/a"));
    json_object_object_add(o, "read", list);
    assert_int_equal(sandbox_check(o, &err), BP_INVALID);
    assert_non_null(strstr(err.text, "at most 32"));
    json_object_put(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_operator_takes_away_and_never_gives),
        cmocka_unit_test(a_list_of_paths_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
