/* SPDX-License-Identifier: Apache-2.0 */
#include "history.h"

#include "json.h"
#include "words.h"

#include <bp/workflow.h>
#include <stdio.h>

struct json_object *history_entry(struct json_object *history, const char *prompt_id)
{
    struct json_object *entry = json_member(history, prompt_id);
    struct json_object *status = json_member(entry, "status"), *outputs = json_member(entry, "outputs");
    /* Old versions have no status; their entry stands once the prompt is over. */
    return json_object_is_type(status, json_type_object) || json_object_is_type(outputs, json_type_object) ? entry
                                                                                                           : NULL;
}

/* The data of the last message of that name; messages are pairs of name and data. */
static struct json_object *message(struct json_object *entry, const char *name)
{
    struct json_object *list = json_member(json_member(entry, "status"), "messages");
    for (size_t i = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0; i-- > 0;) {
        struct json_object *pair = json_object_array_get_idx(list, i);
        if (!json_object_is_type(pair, json_type_array) || json_object_array_length(pair) < 2)
            continue;
        const char *is = json_object_get_string(json_object_array_get_idx(pair, 0));
        if (is && strcmp(is, name) == 0)
            return json_object_array_get_idx(pair, 1);
    }
    return NULL;
}

enum history_state history_state(struct json_object *entry)
{
    if (!entry)
        return HISTORY_ABSENT;
    if (strcmp(json_str(json_member(entry, "status"), "status_str", "success"), "success") == 0)
        return HISTORY_DONE;
    return message(entry, "execution_interrupted") ? HISTORY_INTERRUPTED : HISTORY_FAILED;
}

struct json_object *history_error(struct json_object *entry)
{
    return message(entry, "execution_error");
}

const char *history_message(struct json_object *entry)
{
    return json_str(json_member(entry, "status"), "message", "");
}

int history_cached(struct json_object *entry)
{
    struct json_object *nodes = json_member(message(entry, "execution_cached"), "nodes");
    return json_object_is_type(nodes, json_type_array) && json_object_array_length(nodes) > 0;
}

/* ---- outputs ---- */

/* False: the text does not fit, so it is not what it was. */
static int copy(char *out, size_t n, const char *text)
{
    return (size_t)snprintf(out, n, "%s", text) < n;
}

/* The first file of a list of files. */
static int first_file(struct json_object *list, struct output_file *out)
{
    struct json_object *file = json_object_is_type(list, json_type_array) && json_object_array_length(list) > 0
                                   ? json_object_array_get_idx(list, 0)
                                   : NULL;
    const char *name = json_str(file, "filename", "");
    return *name && copy(out->name, sizeof out->name, name) &&
           copy(out->subfolder, sizeof out->subfolder, json_str(file, "subfolder", "")) &&
           copy(out->type, sizeof out->type, json_str(file, "type", "output"));
}

static int node_file(const char *id, struct json_object *node, struct output_file *out)
{
    static const char *const first[] = {"videos", "gifs", "images", "files", "video", "audio"};
    if (!json_object_is_type(node, json_type_object) || !copy(out->node, sizeof out->node, id))
        return 0;
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
        if (first_file(json_member(node, first[i]), out))
            return 1;
    json_object_object_foreach(node, key, list)
    {
        (void)key;
        if (first_file(list, out))
            return 1;
    }
    return 0;
}

/* "text, ui": what a node gave, where that is no file. */
static void list_keys(struct json_object *node, char *out, size_t n)
{
    char all[120] = "";
    size_t used = 0;
    if (json_object_is_type(node, json_type_object)) {
        json_object_object_foreach(node, key, list)
        {
            (void)list;
            int k =
                used < sizeof all - 1 ? snprintf(all + used, sizeof all - used, "%s%.30s", used ? ", " : "", key) : 0;
            used += k > 0 ? (size_t)k : 0;
        }
    }
    words_line(all, out, n);
}

int32_t history_output(struct json_object *entry, const char *node, struct output_file *out, struct bp_err *err)
{
    struct json_object *outputs = json_member(entry, "outputs");
    char keys[100];
    memset(out, 0, sizeof *out);
    if (node) {
        struct json_object *gave = json_member(outputs, node);
        if (node_file(node, gave, out))
            return BP_OK;
        list_keys(gave, keys, sizeof keys);
        return bp_error(err, BP_NOTFOUND,
                        "the output node %.40s gave no file%s%s; is output_node_id the node that saves it?", node,
                        *keys ? ", but " : "", keys);
    }
    if (json_object_is_type(outputs, json_type_object)) {
        json_object_object_foreach(outputs, id, gave)
        {
            if (node_file(id, gave, out))
                return BP_OK;
        }
    }
    return bp_error(err, BP_NOTFOUND, "no node of the graph gave a file; it needs one that saves its result");
}
