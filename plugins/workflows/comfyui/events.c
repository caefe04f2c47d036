/* SPDX-License-Identifier: Apache-2.0 */
#include "events.h"

#include "graph.h"
#include "json.h"
#include "words.h"

#include <stdio.h>
#include <string.h>

void events_open(struct events *e, const char *prompt_id, struct json_object *graph)
{
    *e = (struct events){.prompt_id = prompt_id, .graph = graph, .done = json_object_new_object()};
}

void events_close(struct events *e)
{
    json_object_put(e->done);
    e->done = NULL;
}

/* The node counts as done. Only nodes of the graph are kept, so the set cannot grow beyond it. */
static void finish(struct events *e, const char *id)
{
    if (id && graph_node(e->graph, id) && !json_member(e->done, id))
        json_object_object_add(e->done, id, json_object_new_boolean(1));
}

static void on_status(struct events *e, struct json_object *data)
{
    struct json_object *left = json_member(json_member(json_member(data, "status"), "exec_info"), "queue_remaining");
    if (!e->started && json_object_is_type(left, json_type_int))
        e->ahead = json_object_get_int64(left) - 1;
}

static void on_start(struct events *e, struct json_object *data)
{
    (void)data;
    e->started = 1;
}

static void on_cached(struct events *e, struct json_object *data)
{
    struct json_object *nodes = json_member(data, "nodes");
    e->started = 1;
    for (size_t i = 0; json_object_is_type(nodes, json_type_array) && i < json_object_array_length(nodes); i++)
        finish(e, json_object_get_string(json_object_array_get_idx(nodes, i)));
}

/* The node of the graph that a message is about: where a node made others, which then run, the one that made them. */
static const char *node_of(const struct events *e, struct json_object *data)
{
    struct json_object *node = json_member(data, "node");
    const char *id = node ? json_object_get_string(node) : NULL;
    return id && !graph_node(e->graph, id) ? json_str(data, "display_node", id) : id;
}

/* Another node runs, so the one before is done, but in versions that run several and say so themselves; none runs: the
 * prompt is over. */
static void on_executing(struct events *e, struct json_object *data)
{
    const char *id = node_of(e, data);
    e->started = 1;
    if (e->node[0] && (!id || (!e->states && strcmp(id, e->node) != 0)))
        finish(e, e->node);
    if (id && strcmp(id, e->node) == 0)
        return;
    e->over |= !id;
    snprintf(e->node, sizeof e->node, "%s", id ? id : "");
    e->value = e->max = 0;
}

static void set_progress(struct events *e, struct json_object *data)
{
    struct json_object *value = json_member(data, "value"), *max = json_member(data, "max");
    double v = value ? json_object_get_double(value) : 0, m = max ? json_object_get_double(max) : 0;
    if (!(m > 0 && m < 1e15 && v >= 0 && v <= m))
        return;
    e->value = v;
    e->max = m;
}

static void on_progress(struct events *e, struct json_object *data)
{
    const char *id = node_of(e, data);
    e->started = 1;
    if (id)
        snprintf(e->node, sizeof e->node, "%s", id);
    set_progress(e, data);
}

/* Since 2025: how far each node is that has begun. Of several that run the one that was shown goes on being shown. */
static void on_progress_state(struct events *e, struct json_object *data)
{
    struct json_object *nodes = json_member(data, "nodes"), *runs = NULL;
    const char *shown = NULL;
    if (!json_object_is_type(nodes, json_type_object))
        return;
    e->started = e->states = 1;
    json_object_object_foreach(nodes, id, node)
    {
        const char *state = json_str(node, "state", ""), *as = json_str(node, "display_node_id", id);
        if (strcmp(state, "finished") == 0)
            finish(e, id);
        if (strcmp(state, "running") != 0 || (runs && strcmp(as, e->node) != 0))
            continue;
        runs = node;
        shown = as;
    }
    if (!runs)
        return;
    if (strcmp(shown, e->node) != 0)
        e->value = e->max = 0;
    snprintf(e->node, sizeof e->node, "%s", shown);
    set_progress(e, runs);
}

static void on_executed(struct events *e, struct json_object *data)
{
    struct json_object *node = json_member(data, "node");
    if (node)
        finish(e, json_object_get_string(node));
}

static void on_end(struct events *e, struct json_object *data)
{
    (void)data;
    e->over = 1;
}

/* "status" alone is of all prompts; the others name theirs. */
static const struct {
    const char *type;
    void (*take)(struct events *e, struct json_object *data);
    int of_all;
} kinds[] = {
    {"status", on_status, 1},
    {"execution_start", on_start, 0},
    {"execution_cached", on_cached, 0},
    {"executing", on_executing, 0},
    {"progress", on_progress, 0},
    {"executed", on_executed, 0},
    {"progress_state", on_progress_state, 0},
    {"execution_success", on_end, 0},
    {"execution_error", on_end, 0},
    {"execution_interrupted", on_end, 0},
};

void events_take(struct events *e, const char *text, size_t n)
{
    struct json_object *message = json_read(text, n), *data = json_member(message, "data");
    const char *type = json_str(message, "type", "");
    int ours = strcmp(json_str(data, "prompt_id", ""), e->prompt_id) == 0;
    for (size_t i = 0; data && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].type, type) == 0 && (ours || kinds[i].of_all))
            kinds[i].take(e, data);
    json_object_put(message);
}

double events_fraction(const struct events *e)
{
    int all = json_object_is_type(e->graph, json_type_object) ? json_object_object_length(e->graph) : 0;
    double part = e->max > 0 && !json_member(e->done, e->node) ? e->value / e->max : 0;
    double f = all > 0 ? ((double)json_object_object_length(e->done) + part) / all : 0;
    return e->over || f > 1 ? 1 : f;
}

const char *events_words(const struct events *e, char *out, size_t n)
{
    char class[60];
    const char *name = graph_class(e->graph, e->node);
    words_line(*name ? name : e->node, class, sizeof class);
    if (!e->started && e->ahead > 0)
        snprintf(out, n, "in ComfyUI's queue, %lld before it", (long long)e->ahead);
    else if (!e->started)
        snprintf(out, n, "in ComfyUI's queue");
    else if (e->over || !e->node[0])
        snprintf(out, n, "ComfyUI: %d of %d nodes", json_object_object_length(e->done),
                 json_object_object_length(e->graph));
    else if (e->max > 1) /* a node without steps is said to have one */
        snprintf(out, n, "%s: %.0f of %.0f", class, e->value, e->max);
    else
        snprintf(out, n, "%s", class);
    return out;
}
