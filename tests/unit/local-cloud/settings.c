/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"
#include "main.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

extern const struct bp_plugin bp_plugin_v1;

/* {"name": default, ...} as the manifest has them. */
static struct json_object *manifest_defaults(void)
{
    struct json_object *m = json_object_from_file(LOCAL_MANIFEST), *config = NULL;
    struct json_object *out = json_object_new_object();
    assert_non_null(m);
    assert_true(json_object_object_get_ex(m, "config", &config));
    json_object_object_foreach(config, name, row)
    {
        struct json_object *fallback = NULL;
        assert_true(json_object_object_get_ex(row, "default", &fallback));
        json_object_object_add(out, name, json_object_get(fallback));
    }
    json_object_put(m);
    return out;
}

static void assert_same(const struct settings *a, const struct settings *b)
{
    const size_t numbers = offsetof(struct settings, boot_delay_s), after = offsetof(struct settings, in_worker);
    assert_memory_equal((const char *)a + numbers, (const char *)b + numbers, after - numbers);
    assert_string_equal(a->bpd, b->bpd);
    assert_string_equal(a->url, b->url);
    assert_string_equal(a->device, b->device);
    assert_string_equal(a->zone, b->zone);
    assert_string_equal(a->objects_dir, b->objects_dir);
    assert_true(json_object_equal(a->plugins_dirs, b->plugins_dirs));
    assert_true(json_object_equal(a->worker_args, b->worker_args));
    assert_true(json_object_equal(a->instance_types, b->instance_types));
}

static void defaults_are_those_of_the_manifest(void **state)
{
    struct settings plain, given;
    struct bp_err err;
    struct json_object *all = manifest_defaults();
    (void)state;
    assert_int_equal(settings_open(&plain, "{}", &err), 0);
    assert_int_equal(settings_open(&given, json_object_to_json_string(all), &err), 0);
    assert_same(&plain, &given);
    settings_close(&plain);
    settings_close(&given);
    json_object_put(all);
}

/* A value of a wrong type is noticed only when the name is known: so each name of the manifest is. */
static void every_setting_of_the_manifest_is_read(void **state)
{
    struct json_object *all = manifest_defaults();
    (void)state;
    json_object_object_foreach(all, name, value)
    {
        struct settings s;
        struct bp_err err;
        char text[128];
        (void)value;
        snprintf(text, sizeof text, "{\"%s\":{}}", name);
        assert_int_equal(settings_open(&s, text, &err), BP_INVALID);
        assert_non_null(strstr(err.text, name));
    }
    json_object_put(all);
}

static void values_out_of_range_are_refused(void **state)
{
    static const char *const bad[] = {"{\"maxInstances\":-1}",
                                      "{\"maxInstances\":1.5}",
                                      "{\"noticeSeconds\":4000}",
                                      "{\"device\":\"tpu\"}",
                                      "{\"workerArgs\":[1]}",
                                      "{\"spot\":\"yes\"}",
                                      "[]",
                                      "{\"launchRetrySeconds\":0}",
                                      "no json"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct settings s;
        struct bp_err err;
        if (settings_open(&s, bad[i], &err) != BP_INVALID)
            fail_msg("%s is taken", bad[i]);
    }
}

static void the_operators_word_goes_before_the_daemons(void **state)
{
    struct settings s;
    struct bp_err err;
    (void)state;
    assert_int_equal(settings_open(&s,
                                   "{\"url\":\"http://a\",\"_bpd\":{\"role\":\"worker\",\"url\":\"http://b\",\"bpd\":"
                                   "\"/b/bpd\",\"plugins_dirs\":[\"/b\"],\"fleet_secret_file\":null}}",
                                   &err),
                     0);
    assert_string_equal(s.url, "http://a");
    assert_string_equal(s.bpd, "/b/bpd");
    assert_int_equal(json_object_array_length(s.plugins_dirs), 1);
    assert_string_equal(s.fleet_secret_file, "");
    assert_int_equal(s.in_worker, 1);
    settings_close(&s);
}

static void every_facet_of_the_manifest_is_offered(void **state)
{
    struct fake *f = *state;
    struct json_object *m = json_object_from_file(LOCAL_MANIFEST), *facets = NULL;
    assert_int_equal(fake_start(f, ""), 0);
    assert_true(json_object_object_get_ex(m, "facets", &facets));
    for (size_t i = 0; i < json_object_array_length(facets); i++) {
        const uint32_t *table =
            bp_plugin_v1.facet(f->inst, json_object_get_string(json_object_array_get_idx(facets, i)));
        assert_non_null(table);
        assert_true(*table >= 2 * sizeof(uint32_t) + sizeof(void *));
    }
    assert_null(bp_plugin_v1.facet(f->inst, "bp.queue/1"));
    json_object_put(m);
}

static void a_bad_setting_keeps_the_plugin_from_starting(void **state)
{
    struct fake *f = *state;
    assert_int_equal(fake_start(f, "\"objectsDir\":\"relative\""), BP_INVALID);
    assert_non_null(strstr(f->err.text, "objectsDir"));
    assert_null(f->inst);
    assert_int_equal(fake_start(f, ""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults_are_those_of_the_manifest),     TEST(every_setting_of_the_manifest_is_read),
        TEST(values_out_of_range_are_refused),        TEST(the_operators_word_goes_before_the_daemons),
        TEST(every_facet_of_the_manifest_is_offered), TEST(a_bad_setting_keeps_the_plugin_from_starting),
    };
    return RUN(tests);
}
