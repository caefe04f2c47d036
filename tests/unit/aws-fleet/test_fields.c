/* SPDX-License-Identifier: Apache-2.0 */
/* Fields: what is written is what is compared, each difference is one sentence, and equal things have equal hashes. */
#include "cm.h"
#include "fields.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fields f;

static int set_up(void **state)
{
    (void)state;
    fields_free(&f);
    fields_add_int(&f, "maximum size", "MaxSize", "MaxSize", 7);
    fields_add(&f, FIELD_TEXT, "key", "KeyName", "KeyName", "");
    fields_add(&f, FIELD_LIST, "types", "Overrides.member.#.InstanceType", "Overrides/member|InstanceType", "g6,g5");
    fields_add(&f, FIELD_SET, "security groups", "SecurityGroupId.#", "groups/item", "sg-2,sg-1");
    fields_add(&f, FIELD_CSV, "subnets", "VPCZoneIdentifier", "VPCZoneIdentifier", "b,a");
    fields_add(&f, FIELD_LONG, "user data", "UserData", "UserData", "AAAA");
    fields_add(&f, FIELD_KEPT, "warm-up", "Warmup", "Warmup", "60");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fields_free(&f);
    return 0;
}

/* The sentences as "a|b". */
static const char *compare(const char *now)
{
    static char text[1024];
    struct bp_err err = {0};
    struct xml *x = xml_parse(now, strlen(now), &err);
    struct json_object *diff = json_object_new_array();
    assert_non_null(x);
    uint32_t n = fields_compare(&f, "it", x, diff);
    assert_int_equal(n, json_object_array_length(diff));
    text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s", i ? "|" : "",
                 json_object_get_string(json_object_array_get_idx(diff, i)));
    }
    json_object_put(diff);
    xml_free(x);
    return text;
}

#define SAME                                                                                                           \
    "<g><MaxSize>7</MaxSize><Overrides><member><InstanceType>g6</InstanceType></member><member><InstanceType>g5"       \
    "</InstanceType></member></Overrides><groups><item>sg-1</item><item>sg-2</item></groups>"                          \
    "<VPCZoneIdentifier>a, b</VPCZoneIdentifier><UserData>AAAA</UserData></g>"

static void what_is_as_it_should_be_has_no_sentence(void **state)
{
    (void)state;
    assert_string_equal(compare(SAME), "");
}

static void each_difference_is_a_sentence(void **state)
{
    (void)state;
    assert_string_equal(
        compare(
            "<g><MaxSize>9</MaxSize><KeyName>old</KeyName><Overrides><member><InstanceType>g5</InstanceType>"
            "</member><member><InstanceType>g6</InstanceType></member></Overrides><groups><item>sg-1</item></groups>"
            "<VPCZoneIdentifier>a,c</VPCZoneIdentifier><UserData>BBBB</UserData><Warmup>61</Warmup></g>"),
        "it: maximum size 9 becomes 7|it: key old becomes none|it: types g5,g6 becomes g6,g5|"
        "it: security groups sg-1 becomes sg-1,sg-2|it: subnets a,c becomes a,b|it: user data changes|"
        "it: warm-up 61 becomes 60");
}

static void what_is_sent_has_a_number_for_each_item_and_nothing_for_none(void **state)
{
    struct form *form = form_new();
    size_t n;
    (void)state;
    fields_put(&f, "D.", form);
    assert_string_equal(form_text(form, &n),
                        "D.MaxSize=7&D.Overrides.member.1.InstanceType=g6&D.Overrides.member.2.InstanceType=g5&"
                        "D.SecurityGroupId.1=sg-2&D.SecurityGroupId.2=sg-1&D.VPCZoneIdentifier=b%2Ca&D.UserData=AAAA&"
                        "D.Warmup=60");
    form_free(form);
}

static void a_hash_is_of_names_and_values(void **state)
{
    char a[17], b[17], c[17];
    (void)state;
    fields_hash(&f, a);
    set_up(NULL);
    fields_hash(&f, b);
    assert_string_equal(a, b);
    fields_add_int(&f, "minimum size", "MinSize", "MinSize", 0);
    fields_hash(&f, c);
    assert_string_not_equal(b, c);
    assert_int_equal(strlen(c), 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_as_it_should_be_has_no_sentence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_difference_is_a_sentence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_sent_has_a_number_for_each_item_and_nothing_for_none, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_hash_is_of_names_and_values, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
