/* SPDX-License-Identifier: Apache-2.0 */
#include "host/state.h"
#include "log/err.h"
#include "pluginfile/sandbox.h"
#include <stdlib.h>
#include <string.h>

static int overrides_apply(struct json_object *merged, struct json_object *overrides, const char *slug,
                           struct bp_err *err)
{
    if (!overrides)
        return BP_OK;
    if (!json_object_is_type(overrides, json_type_object))
        return err_set(err, BP_INVALID, "config: workflows.%s must be an object", slug);
    json_object_object_foreach(overrides, key, value)
    {
        if (manifest_check_override(key, value, err)) {
            err_prefix(err, "config: workflows.%s: ", slug);
            return BP_INVALID;
        }
        if (strcmp(key, "sandbox") != 0)
            json_object_object_add(merged, key, json_object_get(value));
    }
    return BP_OK;
}

/* The one key that an override cannot widen: the operator's word is a limit. */
static void sandbox_merge(struct json_object *merged, struct json_object *overrides)
{
    struct json_object *both = sandbox_narrow(json_member(merged, "sandbox"), json_member(overrides, "sandbox"));
    json_object_object_add(merged, "sandbox", both);
}

static void fill(struct workflow *w, const struct generation *g, struct json_object *merged)
{
    double minutes = json_num(merged, "scaleToZeroMinutes", 15);
    w->manifest = merged;
    w->slug = g->manifest->slug;
    w->display_name = json_str(merged, "displayName", w->slug);
    w->plugin = g->manifest->name;
    w->listed = g->plugin->name;
    w->version = g->manifest->version;
    w->file = g->copy;
    w->sha = g->code;
    w->generation = g->number;
    w->params = json_member(merged, "params");
    w->settings_dir = json_str(merged, "settingsDir", NULL);
    w->ami_id = json_str(merged, "amiId", NULL);
    w->ami_parameter = json_str(merged, "amiSsmParameter", NULL);
    w->policy = json_str(merged, "policy", NULL);
    w->schedule = json_member(merged, "schedule");
    w->sandbox = json_member(merged, "sandbox");
    w->max_size = (int32_t)json_int(merged, "maxSize", 1);
    w->warmup_s = (int32_t)json_num(merged, "warmupSeconds", 300);
    w->scale_to_zero_minutes = (int32_t)minutes;
    w->scale_to_zero_s = json_num(merged, "scaleToZeroSeconds", minutes * 60);
    w->backlog_target = (int32_t)json_int(merged, "backlogTarget", 1);
    w->timeout_s = (int32_t)json_int(merged, "timeoutSeconds", 3600);
    w->max_attempts = (int32_t)json_int(merged, "maxAttempts", 0);
}

/* Manifest and overrides, merged; strings borrowed from g and the merged object. NULL with a sentence otherwise. */
struct workflow *workflow_build(const struct generation *g, const struct config *c, struct bp_err *err)
{
    struct json_object *merged = NULL;
    struct json_object *overrides = json_member(config_map(c, CONFIG_WORKFLOWS), g->manifest->slug);
    if (json_object_deep_copy(g->manifest->json, &merged, NULL)) {
        err_set(err, BP_NOMEM, "no memory for workflow %s", g->manifest->slug);
        return NULL;
    }
    if (overrides_apply(merged, overrides, g->manifest->slug, err) || manifest_check_settings(merged, NULL, 0, err)) {
        json_object_put(merged);
        return NULL;
    }
    sandbox_merge(merged, overrides);
    struct workflow *w = calloc(1, sizeof(*w));
    assert(w);
    fill(w, g, merged);
    return w;
}

void workflow_free(struct workflow *w)
{
    if (!w)
        return;
    json_object_put(w->manifest);
    free(w);
}

static int is_slug(const void *slug, const void *of)
{
    const struct generation *const *g = of;
    return strcmp(slug, (*g)->workflow->slug);
}

/* The table of serving workflows in the order of their slugs, made anew from the plugins. Those are in the order of
 * their names, which is almost the same: so one comparison places nearly each. */
void workflows_update(struct host *h)
{
    h->n_workflows = 0;
    for (struct plugin *p = h->plugins; p && !h->stopping; p = p->next) {
        if (!p->current || !p->current->workflow)
            continue;
        if (h->n_workflows == h->workflows_room) {
            h->workflows_room = h->workflows_room ? h->workflows_room * 2 : 16;
            h->workflows = realloc(h->workflows, h->workflows_room * sizeof(struct generation *));
            assert(h->workflows);
        }
        uint32_t at = h->n_workflows++;
        for (; at > 0 && strcmp(h->workflows[at - 1]->workflow->slug, p->current->workflow->slug) > 0; at--)
            h->workflows[at] = h->workflows[at - 1];
        h->workflows[at] = p->current;
    }
}

const struct workflow *host_workflow(struct host *h, const char *slug)
{
    ASSERT_HOST(h);
    struct generation *const *g =
        h->n_workflows ? bsearch(slug, h->workflows, h->n_workflows, sizeof(struct generation *), is_slug) : NULL;
    return g ? (*g)->workflow : NULL;
}

void host_each_workflow(struct host *h, void (*fn)(const struct workflow *w, void *arg), void *arg)
{
    ASSERT_HOST(h);
    for (uint32_t i = 0; i < h->n_workflows; i++)
        fn(h->workflows[i]->workflow, arg);
}

uint32_t host_workflow_count(struct host *h)
{
    ASSERT_HOST(h);
    return h->n_workflows;
}

const char *host_nearest_workflow(struct host *h, const char *slug)
{
    const char *names[256];
    size_t n = 0;
    ASSERT_HOST(h);
    for (uint32_t i = 0; i < h->n_workflows && n < 256; i++)
        names[n++] = h->workflows[i]->workflow->slug;
    return nearest_name(slug, names, n);
}
