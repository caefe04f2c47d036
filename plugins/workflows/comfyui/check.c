/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - a workflow's settings and graph looked at when its file is taken in, not by its first job. */
#include "check.h"

#include "graph.h"
#include "json.h"
#include "settings.h"

#include <bp/workflow.h>
#include <json-c/json.h>

/* A property that a job need not fill and that the graph does not ask for is passed over by jobs, too. */
static int is_asked_for(const struct property *p, struct json_object *graph)
{
    return p->type != PROPERTY_FILE || p->required || p->fallback || p->in_comfyui || graph_has(graph, p->placeholder);
}

static int has_primary(const struct settings *s)
{
    for (uint32_t i = 0; i < s->n_properties; i++)
        if (s->properties[i].primary)
            return 1;
    return 0;
}

/* Fills every placeholder with a word, as a job with every value would. */
static int32_t fill(const struct settings *s, struct json_object *graph, struct bp_err *err)
{
    struct value values[PROPERTIES_MAX + 1];
    uint32_t n = 0;
    if (!has_primary(s) && (s->input_node || graph_has(graph, s->input_placeholder)))
        values[n++] = (struct value){.placeholder = s->input_placeholder, .key = "input"};
    for (uint32_t i = 0; i < s->n_properties; i++)
        if (is_asked_for(&s->properties[i], graph))
            values[n++] = (struct value){.placeholder = s->properties[i].placeholder, .key = s->properties[i].key};
    struct json_object *word = json_object_new_string("x");
    for (uint32_t i = 0; i < n; i++)
        values[i].json = word;
    int32_t rc = graph_fill(graph, values, n, settings_spare_key(s), err);
    json_object_put(word);
    return rc;
}

static int32_t check_nodes(const struct settings *s, struct json_object *graph, struct bp_err *err)
{
    if (s->output_node && !graph_node(graph, s->output_node))
        return bp_error(err, BP_INVALID, "settings.output_node_id: the graph has no node %.60s", s->output_node);
    return s->input_node ? graph_set(graph, s->input_node, s->input_field, json_object_new_string("x"), err) : BP_OK;
}

int32_t comfyui_check(void *inst, const char *workflow, const char *settings_dir, struct bp_err *err)
{
    struct settings s = {0};
    struct json_object *manifest = json_read(workflow, strlen(workflow)), *graph = NULL;
    struct json_object *own = json_member(manifest, "settings");
    (void)inst;
    int32_t rc = settings_read(&s, own ? json_object_to_json_string(own) : "{}", settings_dir, err);
    if (rc == BP_OK)
        rc = graph_read(s.graph, s.dir, &graph, err);
    if (rc == BP_OK)
        rc = fill(&s, graph, err);
    if (rc == BP_OK)
        rc = check_nodes(&s, graph, err);
    json_object_put(graph);
    settings_free(&s);
    json_object_put(manifest);
    return rc;
}
