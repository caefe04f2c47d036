/* SPDX-License-Identifier: Apache-2.0 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "request.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int32_t read_params(const char *params, struct request *r, struct bp_err *err)
{
    struct bp_job job = {.size = sizeof job, .params = params};
    return request_read(&job, r, err);
}

static void no_params_give_the_defaults(void **state)
{
    (void)state;
    struct request r;
    struct bp_err err;
    assert_int_equal(read_params("{}", &r, &err), BP_OK);
    assert_int_equal(r.frames, 150);
    assert_int_equal(r.width, 1920);
    assert_int_equal(r.height, 1080);
    assert_int_equal(r.move, MOVE_PUSH);
    assert_int_equal(r.easing, EASING_IN_OUT);
    assert_true(r.strength == 0.5 && r.motion_blur == 0.5 && r.parallax == 0 && r.vignette == 0 && r.seed == 0);
}

static struct json_object *schema(void)
{
    char path[500];
    snprintf(path, sizeof path, "%s/plugins/workflows/image-to-video/manifest.json", getenv("BP_SOURCE_DIR"));
    struct json_object *manifest = json_object_from_file(path), *params, *properties;
    assert_non_null(manifest);
    assert_true(json_object_object_get_ex(manifest, "params", &params));
    assert_true(json_object_object_get_ex(params, "properties", &properties));
    json_object_get(properties);
    json_object_put(manifest);
    return properties;
}

/* Is {"name": value} taken? An answer of no must name the param. */
static int taken(const char *name, const char *value)
{
    char params[200];
    struct request r;
    struct bp_err err = {0};
    snprintf(params, sizeof params, "{\"%s\":%s}", name, value);
    int32_t rc = read_params(params, &r, &err);
    if (rc == BP_OK)
        return 1;
    assert_int_equal(rc, BP_INVALID);
    assert_int_equal(err.rc, BP_INVALID);
    assert_int_equal(strncmp(err.text, name, strlen(name)), 0);
    return 0;
}

static void check_number(const char *name, double minimum, double maximum)
{
    char value[40];
    static const double outside[] = {-1e9, -1, -0.01, 0.01, 1, 1e9};
    snprintf(value, sizeof value, "%.17g", minimum);
    assert_true(taken(name, value));
    snprintf(value, sizeof value, "%.17g", maximum);
    assert_true(taken(name, value));
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        snprintf(value, sizeof value, "%.17g", (outside[i] < 0 ? minimum : maximum) + outside[i]);
        assert_false(taken(name, value));
    }
}

static void each_bound_of_the_manifest_is_the_codes_too(void **state)
{
    (void)state;
    struct json_object *properties = schema();
    int numbers = 0, words = 0;
    json_object_object_foreach(properties, name, property)
    {
        struct json_object *v;
        if (json_object_object_get_ex(property, "enum", &v)) {
            for (size_t i = 0; i < json_object_array_length(v); i++, words++)
                assert_true(taken(name, json_object_to_json_string(json_object_array_get_idx(v, i))));
            assert_false(taken(name, "\"sideways\""));
            continue;
        }
        struct json_object *minimum, *maximum;
        assert_true(json_object_object_get_ex(property, "minimum", &minimum));
        assert_true(json_object_object_get_ex(property, "maximum", &maximum));
        check_number(name, json_object_get_double(minimum), json_object_get_double(maximum));
        numbers++;
    }
    assert_int_equal(numbers, 9);
    assert_int_equal(words, 11);
    json_object_put(properties);
}

static void each_default_of_the_manifest_is_the_codes_too(void **state)
{
    (void)state;
    struct json_object *properties = schema(), *defaults = json_object_new_object();
    json_object_object_foreach(properties, name, property)
    {
        struct json_object *v;
        assert_true(json_object_object_get_ex(property, "default", &v));
        json_object_object_add(defaults, name, json_object_get(v));
    }
    struct request from_manifest, own;
    struct bp_err err;
    assert_int_equal(read_params(json_object_to_json_string(defaults), &from_manifest, &err), BP_OK);
    assert_int_equal(read_params("{}", &own, &err), BP_OK);
    assert_memory_equal(&from_manifest, &own, sizeof own);
    json_object_put(defaults);
    json_object_put(properties);
}

static void odd_sizes_become_even_and_there_are_two_frames_at_least(void **state)
{
    (void)state;
    struct request r;
    struct bp_err err;
    assert_int_equal(read_params("{\"width\":641,\"height\":359,\"duration\":0.5,\"fps\":10}", &r, &err), BP_OK);
    assert_int_equal(r.width, 640);
    assert_int_equal(r.height, 358);
    assert_int_equal(r.frames, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_params_give_the_defaults),
        cmocka_unit_test(each_bound_of_the_manifest_is_the_codes_too),
        cmocka_unit_test(each_default_of_the_manifest_is_the_codes_too),
        cmocka_unit_test(odd_sizes_become_even_and_there_are_two_frames_at_least),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
