/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph.h - a ComfyUI graph in API form, {"3": {"class_type": "KSampler", "inputs": {...}}, ...}, and the placeholders
 * in its texts.
 *
 * A text that is a placeholder and nothing else becomes the value with its JSON type; within a longer text the value's
 * text goes in. What went in is never searched for placeholders again, so a tenant's text stays what it is.
 */
#ifndef COMFYUI_GRAPH_H
#define COMFYUI_GRAPH_H

#include <bp/plugin.h>

struct json_object;

#define GRAPH_BYTES_MAX (16L << 20) /* of a graph, before and after its placeholders are filled */

/* What goes in for a placeholder. */
struct value {
    const char *placeholder; /* borrowed */
    const char *key;         /* what it is called in messages; borrowed */
    struct json_object *json;
    uint32_t uses; /* how often it went in */
};

/* A graph of one's own from the settings: a copy of an object, or what the file holds (a relative name begins in dir).
 * Checked: nodes with a class each, not the editor's form; lists that were empty objects once are objects again. BP_OK:
 * *out is the caller's; BP_INVALID says what is wrong. */
int32_t graph_read(struct json_object *setting, const char *dir, struct json_object **out, struct bp_err *err);
/* Fills every placeholder of the graph. BP_INVALID: a value whose placeholder is nowhere in it (unless its key is in
 * `spare`, NULL: none), or a placeholder, text of the form __NAME__, that no value is for. */
int32_t graph_fill(struct json_object *graph, struct value *values, uint32_t n, const char *spare, struct bp_err *err);
/* Whether a placeholder is somewhere in the graph. */
int graph_has(struct json_object *graph, const char *placeholder);
/* A node by its id, borrowed; NULL: there is none. */
struct json_object *graph_node(struct json_object *graph, const char *id);
/* The class of a node, "" where it is not known. */
const char *graph_class(struct json_object *graph, const char *id);
/* Sets graph[id].inputs[field]; takes over v. BP_INVALID: there is no such node. */
int32_t graph_set(struct json_object *graph, const char *id, const char *field, struct json_object *v,
                  struct bp_err *err);

#endif
