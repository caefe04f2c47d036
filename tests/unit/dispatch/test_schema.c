/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/rig.h"

#include "schema/schema.h"

#include <string.h>

/* Checks value against schema; returns the number of wrong fields, with the fields in *a. */
static int check(const char *schema_text, const char *value_text, struct answer *a, struct json_object **value)
{
    struct json_object *schema = js(schema_text);
    answer_reset(a);
    json_object_put(*value);
    *value = js(value_text);
    a->fields = json_object_new_object();
    int wrong = schema_check(schema, *value, "params", a->fields);
    json_object_put(schema);
    return wrong;
}

static void each_rule_accepts_and_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *good, *bad, *words; /* of the member x */
    } rows[] = {
        {"'type':'integer'", "5", "5.5", "an integer"},
        {"'type':'integer'", "5.0", "'5'", "an integer"},
        {"'type':'number'", "5.5", "true", "a number"},
        {"'type':'string'", "''", "1", "a string"},
        {"'type':'boolean'", "false", "0", "true or false"},
        {"'type':'array'", "[]", "{}", "a list"},
        {"'type':'object'", "{'y':1}", "[]", "an object"},
        {"'type':['string','null']", "null", "1", "one of the types"},
        {"'enum':['a','b',3]", "3", "'c'", "one of: a, b, 3"},
        {"'const':7", "7", "8", "must be 7"},
        {"'minimum':1,'maximum':30", "30", "31", "between 1 and 30"},
        {"'minimum':0.5", "0.5", "0.4", "at least 0.5"},
        {"'maximum':2", "2", "2.1", "greater than 2"},
        {"'exclusiveMinimum':0", "0.1", "0", "greater than 0"},
        {"'exclusiveMaximum':1", "0.9", "1", "less than 1"},
        {"'multipleOf':2", "4", "5", "a multiple of 2"},
        {"'multipleOf':0.1", "0.3", "0.35", "a multiple of 0.1"},
        {"'minLength':2", "'äö'", "'ä'", "at least 2 characters"},
        {"'maxLength':2", "'äö'", "'abc'", "greater than 2 characters"},
        {"'pattern':'^[0-9]+x[0-9]+$'", "'10x20'", "'10x'", "match the pattern"},
        {"'minItems':1", "[1]", "[]", "at least 1 items"},
        {"'maxItems':1", "[1]", "[1,2]", "more than 1 items"},
        {"'properties':{},'additionalProperties':true", "{'a':1}", "1", NULL},
    };
    struct answer a = {0};
    struct json_object *value = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char schema[256], text[128];
        snprintf(schema, sizeof schema, "{'type':'object','properties':{'x':{%s}}}", rows[i].rule);
        snprintf(text, sizeof text, "{'x':%s}", rows[i].good);
        if (check(schema, text, &a, &value) != 0)
            fail_msg("%s refused %s: %s", rows[i].rule, rows[i].good, json_text(a.fields));
        snprintf(text, sizeof text, "{'x':%s}", rows[i].bad);
        int wrong = check(schema, text, &a, &value);
        if (rows[i].words && (wrong != 1 || !strstr(field_message(&a, "params.x"), rows[i].words)))
            fail_msg("%s and %s: %s", rows[i].rule, rows[i].bad, json_text(a.fields));
    }
    answer_reset(&a);
    json_object_put(value);
}

static void defaults_are_filled_in_also_below(void **state)
{
    (void)state;
    struct answer a = {0};
    struct json_object *value = NULL;
    const char *schema = "{'type':'object','required':['size'],'properties':{'n':{'type':'integer','default':3},'size':"
                         "{'type':'object','default':{},'properties':{'w':{'type':'integer','default':640}}}}}";
    assert_int_equal(check(schema, "{}", &a, &value), 0);
    assert_int_equal(json_int(value, "n", 0), 3);
    assert_int_equal(json_int(json_member(value, "size"), "w", 0), 640);
    assert_int_equal(check(schema, "{'n':4,'size':{'w':1}}", &a, &value), 0);
    assert_int_equal(json_int(value, "n", 0), 4);
    assert_int_equal(json_int(json_member(value, "size"), "w", 0), 1);
    answer_reset(&a);
    json_object_put(value);
}

static void wrong_fields_are_named_by_their_path(void **state)
{
    (void)state;
    struct answer a = {0};
    struct json_object *value = NULL;
    const char *schema = "{'type':'object','required':['who'],'properties':{'who':{'type':'string'},'list':"
                         "{'type':'array','items':{'type':'object','properties':{'k':{'type':'integer'}}}}}}";
    assert_int_equal(check(schema, "{'list':[{'k':1},{'k':'x'},{'q':1}],'wo':1}", &a, &value), 4);
    assert_string_equal(field_message(&a, "params.who"), "The params.who field is required.");
    assert_non_null(strstr(field_message(&a, "params.list.1.k"), "an integer"));
    assert_non_null(strstr(field_message(&a, "params.list.2.q"), "Allowed: k"));
    assert_non_null(strstr(field_message(&a, "params.wo"), "Did you mean who"));
    answer_reset(&a);
    json_object_put(value);
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    struct answer a = {0};
    struct json_object *value = json_object_new_object(), *in = value, *schema = json_object_new_object(), *s = schema;
    for (int i = 0; i < 25; i++) {
        struct json_object *next = json_object_new_object(), *props = json_object_new_object(),
                           *next_s = json_object_new_object();
        json_object_object_add(in, "x", next);
        json_object_object_add(props, "x", next_s);
        json_object_object_add(s, "properties", props);
        in = next;
        s = next_s;
    }
    a.fields = json_object_new_object();
    assert_int_equal(schema_check(schema, value, "params", a.fields), 1);
    assert_non_null(strstr(json_text(a.fields), "nested too deeply"));
    answer_reset(&a);
    json_object_put(value);
    json_object_put(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_accepts_and_refuses),
        cmocka_unit_test(defaults_are_filled_in_also_below),
        cmocka_unit_test(wrong_fields_are_named_by_their_path),
        cmocka_unit_test(nesting_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
