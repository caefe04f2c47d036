/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin file is read within its bounds, and a manifest that is taken has what the host counts on. */
#include "pluginfile/facet.h"
#include "vetting/settings.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
    if (!ok)
        abort();
}

static void use(struct manifest *m, const struct bp_err *refusal)
{
    struct bp_err err = {0};
    if (!m) {
        check(refusal->rc < 0 && refusal->text[0]);
        return;
    }
    check(m->name && m->version && kind_name(m->kind) && m->threads >= 1 && m->batch_max >= 1);
    check(!strchr(m->name, '/') && m->name[0] != '.');
    check((m->kind == KIND_WORKFLOW && !m->is_template) == (m->slug != NULL));
    check(m->listed == m->name && !m->definition);
    facet_check_manifest(m, &err);
    json_object_put(settings_resolve(m, NULL, &err));
    manifest_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bp_err err = {0};
    use(manifest_read(data, size, &err), &err);
    memset(&err, 0, sizeof(err));
    use(manifest_parse((const char *)data, size, &err), &err);
    return 0;
}
