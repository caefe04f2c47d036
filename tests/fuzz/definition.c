/* SPDX-License-Identifier: Apache-2.0 */
/* A file of workflows.d becomes a workflow's manifest, or is refused with a sentence that begins with its name. */
#include "vetting/definition.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char maker[] =
    "{\"name\": \"exec\", \"kind\": \"workflow\", \"version\": \"1\", \"abi\": \"1.0\", \"template\": true,"
    " \"sandbox\": {\"exec\": true}, \"settingsSchema\": {\"type\": \"object\", \"required\": [\"command\"], "
    "\"properties\": {"
    "\"command\": {\"type\": \"array\", \"items\": {\"type\": [\"string\", \"array\"], \"items\": {\"type\": "
    "\"string\"}}},"
    "\"grace\": {\"type\": \"number\", \"maximum\": 9, \"default\": 5}}}}";

static void check(int ok)
{
    if (!ok)
        abort();
}

static void refused(const struct bp_err *err)
{
    check(err->rc < 0 && strncmp(err->text, "x.json:", 7) == 0);
}

static void use(const struct definition *d, const struct manifest *m, const struct bp_err *err)
{
    char sha[65];
    if (!m) {
        refused(err);
        return;
    }
    definition_sha(d, "00", sha);
    check(strlen(sha) == 64 && strcmp(m->slug, "x") == 0 && m->listed == m->slug && strcmp(m->name, "exec") == 0);
    check(m->definition && json_str(m->json, "settingsDir", "")[0] == '/');
    check(json_member(json_member(m->json, "settings"), "command") != NULL);
    check(!json_member(m->json, "template"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bp_err err = {0};
    struct manifest *t = manifest_parse(maker, sizeof maker - 1, &err);
    check(t && t->is_template);
    struct definition *d = definition_read("/w/x.json", (const char *)data, size, &err);
    if (!d)
        refused(&err);
    struct manifest *m = d ? definition_apply(d, t, &err) : NULL;
    if (d)
        use(d, m, &err);
    manifest_free(m);
    definition_free(d);
    manifest_free(t);
    return 0;
}
