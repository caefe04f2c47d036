/* SPDX-License-Identifier: Apache-2.0 */
/* The words an author gets for each mistake in a manifest. */
#include "host/rig.h"
#include "pluginfile/facet.h"

#define SHA  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define HEAD "\"name\": \"x\", \"version\": \"1\", \"abi\": \"1.0\""

struct mistake {
    const char *text, *why;
};

static const struct mistake mistakes[] = {
    {"[]", "manifest: it is no JSON object"},
    {"{\"name\": \"x\", \"kind\": \"cloud\", \"version\": \"1\"}", "\"abi\" is missing or no text; it must be \"1.0\""},
    {"{\"name\": \"x\", \"kind\": \"cloud\", \"version\": \"1\", \"abi\": \"one\"}", "must look like \"1.0\""},
    {"{\"name\": \"x\", \"kind\": \"cloud\", \"version\": \"1\", \"abi\": \"2.0\"}", "built for plugin ABI 2.0"},
    {"{" HEAD "}", "\"kind\" is missing"},
    {"{" HEAD ", \"kind\": \"clouds\"}", "\"kind\" is \"clouds\", but must be one of workflow|cloud|queue"},
    {"{" HEAD ", \"kind\": \"\"}", "\"kind\" must have 1 to 16 characters"},
    {"{" HEAD ", \"kind\": 3}", "\"kind\" must be a text"},
    {"{\"name\": \"../x\", \"kind\": \"cloud\", \"version\": \"1\", \"abi\": \"1.0\"}",
     "may have only a-z, 0-9 and '-'"},
    {"{\"name\": \"-x\", \"kind\": \"cloud\", \"version\": \"1\", \"abi\": \"1.0\"}", "not begin with '-'"},
    {"{" HEAD ", \"kind\": \"cloud\", \"threads\": 0}", "\"threads\" is 0, but must be from 1 to 64"},
    {"{" HEAD ", \"kind\": \"cloud\", \"threads\": 1.5}", "\"threads\" must be a whole number"},
    {"{" HEAD ", \"kind\": \"cloud\", \"maxSize\": 1}", "\"maxSize\" is for workflows only, but \"kind\" is \"cloud\""},
    {"{" HEAD ", \"kind\": \"cloud\", \"facets\": \"bp.fleet/1\"}", "\"facets\" must be an array of texts"},
    {"{" HEAD ", \"kind\": \"cloud\", \"config\": []}", "\"config\" must be an object"},
    {"{" HEAD ", \"kind\": \"workflow\", \"scaleToZeroMinuts\": 1}", "did you mean \"scaleToZeroMinutes\"?"},
    {"{" HEAD ", \"kind\": \"workflow\", \"policy\": \"tar\"}",
     "must be one of step|target|direct|perjob|deployed|slo|plugin"},
    {"{" HEAD ", \"kind\": \"workflow\", \"produces\": 3}", "\"produces\" must be a text"},
    {"{" HEAD ", \"kind\": \"workflow\", \"warmupSeconds\": -1}", "\"warmupSeconds\" is -1"},
    {"{" HEAD ", \"kind\": \"workflow\", \"waitPrice\": -1}", "\"waitPrice\" is -1"},
    {"{" HEAD ", \"kind\": \"workflow\", \"targetP95WaitSeconds\": \"60\"}", "\"targetP95WaitSeconds\" must be"},
    {"{" HEAD ", \"kind\": \"workflow\", \"assets\": {}}", "\"assets\": it must be an array"},
    {"{" HEAD ", \"kind\": \"workflow\", \"assets\": [3]}", "\"assets\": entry 1: it must be an object with \"name\""},
    {"{" HEAD ", \"kind\": \"workflow\", \"assets\": [{}]}", "entry 1: \"name\" must be a file name"},
    {"{" HEAD ", \"kind\": \"workflow\", \"assets\": [{\"name\": \"../m\", \"object\": \"assets/k\", \"sha256\": \"" SHA
     "\", \"bytes\": 3}]}",
     "\"name\" must be a file name"},
    {"{" HEAD ", \"kind\": \"workflow\", \"assets\": [{\"name\": \".m\", \"object\": \"assets/k\", \"sha256\": \"" SHA
     "\", \"bytes\": 3}]}",
     "not beginning with"},
    {"{" HEAD
     ", \"kind\": \"workflow\", \"assets\": [{\"name\": \"m.bin\", \"object\": \"https://x/y\", \"sha256\": \"" SHA
     "\", \"bytes\": 3}]}",
     "a URL is none"},
    {"{" HEAD ", \"kind\": \"workflow\", \"assets\": [{\"name\": \"m.bin\", \"object\": \"assets/../tenants/a\", "
     "\"sha256\": \"" SHA "\", \"bytes\": 3}]}",
     "begins with \"assets/\""},
    {"{" HEAD ", \"kind\": \"workflow\", \"assets\": [{\"name\": \"m.bin\", \"object\": \"assets/k\", \"sha256\": "
     "\"12\", \"bytes\": 3}]}",
     "as sha256sum prints it"},
    {"{" HEAD
     ", \"kind\": \"workflow\", \"assets\": [{\"name\": \"m.bin\", \"object\": \"assets/k\", \"sha256\": \"" SHA
     "\", \"bytes\": 0}]}",
     "\"bytes\" must be the file"},
    {"{" HEAD
     ", \"kind\": \"workflow\", \"assets\": [{\"name\": \"m.bin\", \"object\": \"assets/k\", \"sha256\": \"" SHA
     "\", \"bytes\": 3, \"url\": \"x\"}]}",
     "unknown member \"url\""},
    {"{" HEAD
     ", \"kind\": \"workflow\", \"assets\": [{\"name\": \"m.bin\", \"object\": \"assets/k\", \"sha256\": \"" SHA
     "\", \"bytes\": 3}, {\"name\": \"m.bin\", \"object\": \"assets/k\", \"sha256\": \"" SHA "\", \"bytes\": 3}]}",
     "entry 2: another entry has the name \"m.bin\" too"},
    {"{" HEAD
     ", \"kind\": \"workflow\", \"assets\": [{\"name\": \"m.bin\", \"object\": \"assets/k\", \"sha256\": \"" SHA
     "\", \"bytes\": 3}, {\"name\": \"n\", \"object\": \"assets/k\", \"sha256\": \"" SHA "\", \"bytes\": 4}]}",
     "but other \"bytes\""},
    {"{" HEAD
     ", \"kind\": \"workflow\", \"assets\": [{\"name\": \"m.bin\", \"object\": \"assets/k\", \"sha256\": \"" SHA
     "\", \"bytes\": 3, \"place\": \"../m\"}]}",
     "entry 1: \"place\" must be a path below worker.modelsDir"},
    {"{" HEAD
     ", \"kind\": \"workflow\", \"assets\": [{\"name\": \"m.bin\", \"object\": \"assets/k\", \"sha256\": \"" SHA
     "\", \"bytes\": 3, \"place\": \"a/m\"}, {\"name\": \"n\", \"object\": \"assets/l\", \"sha256\": \"" SHA
     "\", \"bytes\": 3, \"place\": \"a/m\"}]}",
     "entry 2: another entry has the place \"a/m\" too"},
    {"{" HEAD ", \"kind\": \"cloud\", \"assets\": []}", "\"assets\" is for workflows only"},
    {"{" HEAD ", \"kind\": \"cloud\", \"sandbox\": {}}", "\"sandbox\" is for workflows only"},
    {"{" HEAD ", \"kind\": \"workflow\", \"sandbox\": []}", "\"sandbox\": it must be an object"},
    {"{" HEAD ", \"kind\": \"workflow\", \"sandbox\": {\"net\": 1}}", "\"sandbox\": unknown member \"net\""},
    {"{" HEAD ", \"kind\": \"workflow\", \"sandbox\": {\"network\": \"all\"}}", "\"none\" or \"loopback\""},
    {"{" HEAD ", \"kind\": \"workflow\", \"sandbox\": {\"exec\": 1}}", "\"exec\" must be true or false"},
    {"{" HEAD ", \"kind\": \"workflow\", \"sandbox\": {\"read\": \"/a\"}}", "\"read\" must be an array"},
    {"{" HEAD ", \"kind\": \"workflow\", \"sandbox\": {\"read\": [\"a/b\"]}}", "give absolute paths"},
    {"{" HEAD ", \"kind\": \"workflow\", \"sandbox\": {\"read\": [\"/\"]}}", "every file there is"},
    {"{" HEAD ", \"kind\": \"workflow\", \"sandbox\": {\"read\": [\"/a/../b\"]}}", "without //, /./, /../"},
    {"{" HEAD ", \"kind\": \"workflow\", \"sandbox\": {\"read\": [\"/a/\"]}}", "a slash at the end"},
};

static void each_mistake_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        struct bp_err err = {0};
        assert_null(manifest_parse(mistakes[i].text, strlen(mistakes[i].text), &err));
        if (!strstr(err.text, mistakes[i].why))
            print_error("%s\n  got: %s\n  not: %s\n", mistakes[i].text, err.text, mistakes[i].why);
        assert_non_null(strstr(err.text, mistakes[i].why));
        assert_int_equal(err.rc, BP_INVALID);
    }
}

static struct manifest *parsed(const char *text)
{
    struct bp_err err = {0};
    struct manifest *m = manifest_parse(text, strlen(text), &err);
    if (!m)
        print_error("%s\n", err.text);
    assert_non_null(m);
    return m;
}

static void what_is_not_said_has_a_default(void **state)
{
    (void)state;
    struct manifest *m = parsed("{" HEAD ", \"kind\": \"workflow\"}");
    assert_int_equal(m->kind, KIND_WORKFLOW);
    assert_string_equal(m->slug, "x");
    assert_int_equal(m->threads, 1);
    assert_true(m->batch_max > 1);
    assert_int_equal(m->abi, BP_ABI(1, 0));
    manifest_free(m);
}

static void a_newer_minor_may_say_more(void **state)
{
    (void)state;
    manifest_free(parsed("{\"name\": \"x\", \"kind\": \"cloud\", \"version\": \"1\", \"abi\": \"1.3\", \"later\": 1}"));
}

static void facets_must_fit_the_kind_and_one_must_be_known(void **state)
{
    struct bp_err err = {0};
    (void)state;
    struct manifest *m = parsed("{" HEAD ", \"kind\": \"queue\", \"facets\": [\"bp.queue/1\", \"bp.future/1\"]}");
    assert_int_equal(facet_check_manifest(m, &err), 0);
    manifest_free(m);
    m = parsed("{" HEAD ", \"kind\": \"queue\", \"facets\": [\"bp.fleet/1\"]}");
    assert_int_equal(facet_check_manifest(m, &err), BP_INVALID);
    manifest_free(m);
    m = parsed("{" HEAD ", \"kind\": \"queue\", \"facets\": [\"bp.queue/9\"]}");
    assert_int_equal(facet_check_manifest(m, &err), BP_INVALID);
    assert_non_null(strstr(err.text, "a queue plugin offers bp.queue/1"));
    manifest_free(m);
}

static void an_override_is_checked_like_the_manifest(void **state)
{
    struct bp_err err = {0};
    (void)state;
    struct json_object *three = json_object_new_int(3);
    assert_int_equal(manifest_check_override("maxSize", three, &err), 0);
    assert_int_equal(manifest_check_override("displayName", three, &err), BP_INVALID);
    assert_int_equal(manifest_check_override("name", three, &err), BP_INVALID);
    assert_int_equal(manifest_check_override("slug", three, &err), BP_INVALID);
    json_object_put(three);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mistake_is_named),
        cmocka_unit_test(what_is_not_said_has_a_default),
        cmocka_unit_test(a_newer_minor_may_say_more),
        cmocka_unit_test(facets_must_fit_the_kind_and_one_must_be_known),
        cmocka_unit_test(an_override_is_checked_like_the_manifest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
