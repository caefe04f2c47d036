/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "words.h"

#include <bp/workflow.h>

static struct json_object *member(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    return json_object_is_type(o, json_type_object) && json_object_object_get_ex(o, name, &v) ? v : NULL;
}

/* The command as a job with every param and file would have it. Whether its program is there shows on the workers. */
static int32_t check_command(const struct settings *s, struct json_object *manifest, const char *dir,
                             struct bp_err *err)
{
    struct json_object *params = member(manifest, "params"), *assets = member(manifest, "assets");
    struct json_object *none = json_object_new_object(), *empty = json_object_new_array();
    struct words w = {0};
    struct scope scope = {.output = "/output",
                          .temp = "/temp",
                          .params_file = "/params",
                          .checkpoint = "/checkpoint",
                          .dir = dir,
                          .assets = "/assets",
                          .slug = "slug",
                          .device = "cpu",
                          .job = 1,
                          .attempt = 1,
                          .params = none,
                          .sample = {.schema = params ? params : none, .assets = assets ? assets : empty}};
    int32_t rc = words_make(&w, s, &scope, NULL, err);
    words_free(&w);
    json_object_put(none);
    json_object_put(empty);
    return rc;
}

int32_t exec_check(void *inst, const char *workflow, const char *settings_dir, struct bp_err *err)
{
    struct settings s = {0};
    struct json_object *manifest = json_tokener_parse(workflow), *own = member(manifest, "settings");
    (void)inst;
    int32_t rc = settings_open(&s, own ? json_object_to_json_string(own) : "{}", err);
    if (rc == BP_OK)
        rc = check_command(&s, manifest, settings_dir, err);
    settings_close(&s);
    json_object_put(manifest);
    return rc;
}
