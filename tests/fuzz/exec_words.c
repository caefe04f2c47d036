/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of exec (the first line) and a job's params (the rest) become arguments and an environment, or a sentence.
 */
#include "words.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
    if (!ok)
        abort();
}

static void make(const struct settings *s, struct json_object *params, struct bp_err *err)
{
    static const char *const inputs[] = {"/t/input-1.png"};
    static char *const base[] = {"PATH=/bin", NULL};
    struct words w = {0};
    struct scope scope = {.inputs = inputs,
                          .n_inputs = 1,
                          .output = "/t/o",
                          .temp = "/t",
                          .params_file = "/t/p",
                          .checkpoint = "/t/c",
                          .dir = "/d",
                          .assets = "/a",
                          .slug = "x",
                          .device = "cpu",
                          .job = 1,
                          .attempt = 1,
                          .params = params};
    int32_t rc = words_make(&w, s, &scope, base, err);
    check(rc == BP_OK || (rc == BP_INVALID || rc == BP_BADINPUT || rc == BP_NOMEM));
    check(rc == BP_OK ? w.argv[0][0] != '\0' && w.envp[0] != NULL : err->text[0] != '\0' && !w.argv);
    for (char **e = w.envp; e && *e; e++)
        check(strchr(*e, '=') != NULL);
    words_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bp_err err = {0};
    struct settings s;
    char *text = malloc(size + 1);
    check(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    char *line = strchr(text, '\n');
    if (line)
        *line++ = '\0';
    struct json_object *params = json_tokener_parse(line ? line : "{}");
    int32_t rc = settings_open(&s, text, &err);
    check(rc == BP_OK || err.text[0]);
    if (rc == BP_OK && json_object_is_type(params, json_type_object))
        make(&s, params, &err);
    settings_close(&s);
    json_object_put(params);
    free(text);
    return 0;
}
