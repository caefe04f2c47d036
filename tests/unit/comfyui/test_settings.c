/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "json.h"
#include "settings.h"

#include <string.h>

static struct settings s;
static struct bp_err err;

static int32_t read(const char *text)
{
    err.text[0] = '\0';
    return settings_read(&s, text, "/etc/bpd/workflows.d", &err);
}

static void refused(const char *text, const char *words)
{
    assert_int_equal(read(text), BP_INVALID);
    if (!strstr(err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    settings_free(&s);
}

static void a_graph_alone_is_enough(void **state)
{
    (void)state;
    assert_int_equal(read("{\"graph\": \"g.json\"}"), BP_OK);
    assert_string_equal(s.url, "http://127.0.0.1:8188");
    assert_string_equal(s.input_placeholder, "__INPUT_PATH__");
    assert_null(s.output_node);
    assert_int_equal(s.start_s, 60);
    assert_int_equal(s.n_properties, 0);
    assert_string_equal(s.dir, "/etc/bpd/workflows.d");
    settings_free(&s);
}

/* As a row of the field's database comes out of its JSON: with names and descriptions, nulls, and ids as numbers. */
static void a_row_of_the_field_is_taken_as_it_is(void **state)
{
    (void)state;
    assert_int_equal(
        read("{\"url\": \"http://localhost:8188/\", \"workflow\": {\"9\": {\"class_type\": \"SaveImage\"}},"
             "\"output_node_id\": 9, \"extra_data\": null, \"properties\": ["
             "{\"key\": \"input\", \"name\": \"Photo\", \"description\": null, \"type\": \"image\","
             " \"placeholder\": \"__INPUT_PATH__\", \"default_value\": null, \"default_value_hash\": null,"
             " \"required\": true, \"user_configurable\": true, \"is_primary_input\": true},"
             "{\"key\": \"prompt\", \"name\": \"Prompt\", \"type\": \"text\", \"placeholder\": \"__PROMPT__\","
             " \"default_value\": \"a cat\", \"required\": false, \"user_configurable\": false}]}"),
        BP_OK);
    assert_string_equal(s.url, "http://localhost:8188");
    assert_string_equal(s.output_node, "9");
    assert_null(s.extra_data);
    assert_int_equal(s.n_properties, 2);
    assert_true(s.properties[0].primary && s.properties[0].required && s.properties[0].type == PROPERTY_FILE);
    assert_null(s.properties[0].fallback);
    assert_false(s.properties[1].configurable);
    assert_string_equal(json_object_get_string(s.properties[1].fallback), "a cat");
    settings_free(&s);
}

static void what_makes_no_sense_is_named(void **state)
{
    (void)state;
    refused("[]", "no JSON object");
    refused("{}", "settings.graph");
    refused("{\"graph\": 7}", "settings.graph");
    refused("{\"graph\": \"\"}", "settings.graph");
    refused("{\"graph\": {}, \"url\": \"127.0.0.1:8188\"}", "settings.url");
    refused("{\"graph\": {}, \"url\": \"http://u:p@127.0.0.1:8188\"}", "settings.url");
    refused("{\"graph\": {}, \"url\": \"http://127.0.0.1:8188/?x=1\"}", "settings.url");
    refused("{\"graph\": {}, \"start_timeout_s\": 0}", "start_timeout_s");
    refused("{\"graph\": {}, \"transfer_timeout_s\": \"5\"}", "transfer_timeout_s");
    refused("{\"graph\": {}, \"max_output_bytes\": 0}", "max_output_bytes");
    refused("{\"graph\": {}, \"input_node_id\": \"3\"}", "belong together");
    refused("{\"graph\": {}, \"properties\": {}}", "must be a list");
    refused("{\"graph\": {}, \"properties\": [{\"placeholder\": \"__A__\"}]}", "no key");
    refused("{\"graph\": {}, \"properties\": [{\"key\": \"a\"}]}", "no placeholder");
    refused("{\"graph\": {}, \"properties\": [{\"key\": \"a\", \"placeholder\": \"__A__\", \"type\": \"colour\"}]}",
            "type colour");
    refused(
        "{\"graph\": {}, \"properties\": [{\"key\": \"a\", \"placeholder\": \"__A__\", \"is_primary_input\": true}]}",
        "is no file");
    refused("{\"graph\": {}, \"properties\": [{\"key\": \"a\", \"placeholder\": \"__A__\"},"
            "{\"key\": \"b\", \"placeholder\": \"__A__\"}]}",
            "same placeholder");
    refused("{\"graph\": {}, \"properties\": [{\"key\": \"a\", \"placeholder\": \"__A__\", \"type\": \"image\","
            "\"is_primary_input\": true}, {\"key\": \"b\", \"placeholder\": \"__B__\", \"type\": \"image\","
            "\"is_primary_input\": true}]}",
            "both the primary");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_graph_alone_is_enough),
        cmocka_unit_test(a_row_of_the_field_is_taken_as_it_is),
        cmocka_unit_test(what_makes_no_sense_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
