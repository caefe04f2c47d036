/* SPDX-License-Identifier: Apache-2.0 */
#include "pluginfile/load.h"
#include "log/err.h"
#include <dlfcn.h>
#include <string.h>

void load_text_clean(struct bp_err *err, const char *fallback)
{
    err->text[sizeof(err->text) - 1] = '\0';
    if (err->text[0] == '\0')
        err_set(err, BP_FAIL, "%s", fallback);
    for (char *p = err->text; *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    }
}

/* dlerror() without the path of the private copy, which tells an operator nothing. */
static int load_error(const char *copy, struct bp_err *err)
{
    const char *why = dlerror();
    size_t n = strlen(copy);
    if (!why)
        why = "no reason given";
    if (strncmp(why, copy, n) == 0 && why[n] == ':')
        why += n + 1;
    while (*why == ' ')
        why++;
    return err_set(err, BP_INVALID, "it cannot be loaded: %.200s", why);
}

static int api_check(const struct bp_plugin *api, const struct manifest *m, struct bp_err *err)
{
    if (api->size < offsetof(struct bp_plugin, facet) + sizeof(api->facet))
        return err_set(err, BP_INVALID, "its table " BP_ENTRY_SYMBOL " has only %u bytes", api->size);
    if (BP_ABI_MAJOR(api->abi) != BP_ABI_MAJOR(BP_ABI_VERSION))
        return err_set(err, BP_INVALID, "its code is built for plugin ABI %u.%u, this bpd speaks %u; rebuild it",
                       BP_ABI_MAJOR(api->abi), BP_ABI_MINOR(api->abi), BP_ABI_MAJOR(BP_ABI_VERSION));
    if (!api->name || strcmp(api->name, m->name) != 0)
        return err_set(err, BP_INVALID, "name mismatch: its manifest says \"%s\", its code \"%.64s\"", m->name,
                       api->name ? api->name : "");
    if (!api->start || !api->stop || !api->facet)
        return err_set(err, BP_INVALID, "start, stop or facet is missing in its table " BP_ENTRY_SYMBOL);
    return BP_OK;
}

int load_code(const char *copy, const struct manifest *m, const struct bp_plugin **api, struct bp_err *err)
{
    dlerror();
    void *handle = dlopen(copy, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle)
        return load_error(copy, err);
    *api = dlsym(handle, BP_ENTRY_SYMBOL);
    if (!*api)
        return err_set(err, BP_INVALID, "it exports no symbol " BP_ENTRY_SYMBOL);
    return api_check(*api, m, err);
}

int load_offers(const struct bp_plugin *api, void *inst, const struct manifest *m, struct offer *offers,
                uint32_t *n_offers, struct bp_err *err)
{
    int all = !manifest_lists_facets(m);
    for (int i = 0; i < FACETS; i++) {
        const struct facet *f = &facets[i];
        int listed = manifest_has_facet(m, f->id);
        if (!facet_is_for(f, m->kind) || (!listed && !all))
            continue;
        const void *t = api->facet(inst, f->id);
        if (!t && listed)
            return err_set(err, BP_INVALID, "its manifest lists the facet %s, but its code does not offer it", f->id);
        if (!t)
            continue;
        if (facet_check(f, t, err))
            return BP_INVALID;
        offers[(*n_offers)++] = (struct offer){f, t};
    }
    if (*n_offers == 0)
        return err_set(err, BP_INVALID, "it offers no facet that a %s plugin may offer", kind_name(m->kind));
    return BP_OK;
}
