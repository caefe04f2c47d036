/* SPDX-License-Identifier: Apache-2.0 */
#include "graph.h"

#include "json.h"

#include <bp/workflow.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- reading ---- */

/* Reads the whole of an open file of `bytes` bytes. */
static char *slurp(int fd, size_t bytes)
{
    char *text = malloc(bytes + 1);
    size_t done = 0;
    while (text && done < bytes) {
        ssize_t n = read(fd, text + done, bytes - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            free(text);
            return NULL;
        }
        done += (size_t)n;
    }
    return text;
}

static int32_t read_file(const char *dir, const char *name, struct json_object **out, struct bp_err *err)
{
    char path[4096];
    struct stat st = {0};
    snprintf(path, sizeof path, "%s%s%s", *name == '/' ? "" : dir, *name == '/' || !*dir ? "" : "/", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        const char *why = fd < 0 ? strerror(errno) : "it is no file";
        if (fd >= 0)
            close(fd);
        return bp_error(err, BP_INVALID, "the graph %.120s cannot be read: %s; put it beside the workflow's file", name,
                        why);
    }
    if (st.st_size > GRAPH_BYTES_MAX) {
        close(fd);
        return bp_error(err, BP_INVALID, "the graph %.120s has more than %ld bytes", name, GRAPH_BYTES_MAX);
    }
    char *text = slurp(fd, (size_t)st.st_size);
    close(fd);
    *out = text ? json_read(text, (size_t)st.st_size) : NULL;
    free(text);
    return *out ? BP_OK : bp_error(err, BP_INVALID, "the graph %.120s is no JSON object", name);
}

/* An empty object that went through PHP is an empty list. */
static void mend_inputs(struct json_object *node)
{
    struct json_object *inputs = json_member(node, "inputs");
    int empty_list = json_object_is_type(inputs, json_type_array) && json_object_array_length(inputs) == 0;
    if (!inputs || empty_list)
        json_object_object_add(node, "inputs", json_object_new_object());
}

static int32_t check(struct json_object *graph, struct bp_err *err)
{
    if (!json_object_is_type(graph, json_type_object))
        return bp_error(err, BP_INVALID, "the graph is no JSON object");
    if (json_object_is_type(json_member(graph, "nodes"), json_type_array))
        return bp_error(err, BP_INVALID,
                        "the graph is in the form of ComfyUI's editor; export it with \"Export (API)\" instead");
    if (json_object_object_length(graph) == 0)
        return bp_error(err, BP_INVALID, "the graph has no node");
    json_object_object_foreach(graph, id, node)
    {
        if (!*json_str(node, "class_type", ""))
            return bp_error(err, BP_INVALID, "node %.60s of the graph has no class_type", id);
        mend_inputs(node);
        if (!json_object_is_type(json_member(node, "inputs"), json_type_object))
            return bp_error(err, BP_INVALID, "the inputs of node %.60s of the graph are no object", id);
    }
    return BP_OK;
}

int32_t graph_read(struct json_object *setting, const char *dir, struct json_object **out, struct bp_err *err)
{
    int32_t rc = BP_OK;
    *out = NULL;
    if (json_object_is_type(setting, json_type_string))
        rc = read_file(dir, json_object_get_string(setting), out, err);
    else if (json_object_deep_copy(setting, out, NULL) < 0)
        rc = bp_error(err, BP_NOMEM, "no memory for the graph");
    if (rc == BP_OK)
        rc = check(*out, err);
    if (rc < 0) {
        json_object_put(*out);
        *out = NULL;
    }
    return rc;
}

struct json_object *graph_node(struct json_object *graph, const char *id)
{
    return json_member(graph, id);
}

const char *graph_class(struct json_object *graph, const char *id)
{
    return json_str(graph_node(graph, id), "class_type", "");
}

int32_t graph_set(struct json_object *graph, const char *id, const char *field, struct json_object *v,
                  struct bp_err *err)
{
    struct json_object *inputs = json_member(graph_node(graph, id), "inputs");
    if (!inputs) {
        json_object_put(v);
        return bp_error(err, BP_INVALID, "settings.input_node_id: the graph has no node %.60s", id);
    }
    json_object_object_add(inputs, field, v);
    return BP_OK;
}

/* ---- placeholders ---- */

struct fill {
    struct value *values;
    uint32_t n;
    char unknown[64]; /* the first placeholder that nothing is for; "": none */
};

/* The value whose placeholder begins at `at`, the longest of several; NULL: none does. */
static struct value *value_at(const struct fill *f, const char *at, size_t left)
{
    struct value *best = NULL;
    size_t best_n = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        size_t n = strlen(f->values[i].placeholder);
        if (n > best_n && n <= left && memcmp(f->values[i].placeholder, at, n) == 0) {
            best = &f->values[i];
            best_n = n;
        }
    }
    return best;
}

/* Bytes of a text __NAME__ (A-Z, 0-9, _; with a letter) at `at`, 0: none begins there. */
static size_t placeholder_at(const char *at, size_t left)
{
    size_t n = 2, letters = 0;
    if (left < 5 || memcmp(at, "__", 2) != 0)
        return 0;
    for (; n < left && ((at[n] >= 'A' && at[n] <= 'Z') || (at[n] >= '0' && at[n] <= '9') || at[n] == '_'); n++) {
        letters += at[n] >= 'A' && at[n] <= 'Z';
        if (letters && n >= 4 && at[n] == '_' && at[n - 1] == '_')
            return n + 1;
    }
    return 0;
}

static void note_unknown(struct fill *f, const char *at, size_t n)
{
    if (!f->unknown[0])
        snprintf(f->unknown, sizeof f->unknown, "%.*s", (int)(n < 60 ? n : 60), at);
}

/* A growing text. */
struct text {
    char *bytes;
    size_t n, room;
    int failed;
};

static void add(struct text *t, const char *bytes, size_t n)
{
    if (t->failed || n == 0)
        return;
    if (n > (size_t)GRAPH_BYTES_MAX - t->n) {
        t->failed = 1;
        return;
    }
    if (t->n + n > t->room) {
        size_t room = (t->n + n) * 2 + 64;
        char *grown = realloc(t->bytes, room);
        t->failed = !grown;
        if (!grown)
            return;
        t->bytes = grown;
        t->room = room;
    }
    memcpy(t->bytes + t->n, bytes, n);
    t->n += n;
}

static void add_value(struct text *t, struct value *v)
{
    if (json_object_is_type(v->json, json_type_string)) {
        add(t, json_object_get_string(v->json), (size_t)json_object_get_string_len(v->json));
        return;
    }
    const char *text = json_object_to_json_string(v->json);
    add(t, text, strlen(text));
}

/* The text with its placeholders filled, or NULL when it has none. *failed: it grows beyond all bounds. */
static struct json_object *fill_text(struct fill *f, const char *s, size_t n, int *failed)
{
    struct text t = {0};
    size_t copied = 0, found = 0;
    for (size_t i = 0; i < n;) {
        struct value *v = value_at(f, s + i, n - i);
        size_t skip = v ? strlen(v->placeholder) : placeholder_at(s + i, n - i);
        if (v) {
            add(&t, s + copied, i - copied);
            add_value(&t, v);
            v->uses++;
            found++;
            copied = i + skip;
        } else if (skip) {
            note_unknown(f, s + i, skip);
        }
        i += skip ? skip : 1;
    }
    add(&t, s + copied, found ? n - copied : 0);
    *failed = t.failed;
    struct json_object *o = found && !t.failed ? json_object_new_string_len(t.bytes ? t.bytes : "", (int)t.n) : NULL;
    free(t.bytes);
    return o;
}

/* What goes in the place of v: *out is NULL where v stays. -1: too large, or no memory. */
static int replacement(struct fill *f, struct json_object *v, struct json_object **out)
{
    const char *s = json_object_get_string(v);
    size_t n = (size_t)json_object_get_string_len(v);
    int failed = 0;
    struct value *whole = value_at(f, s, n);
    *out = NULL;
    if (whole && strlen(whole->placeholder) == n) {
        whole->uses++;
        return json_object_deep_copy(whole->json, out, NULL);
    }
    *out = fill_text(f, s, n, &failed);
    return failed ? -1 : 0;
}

static int fill_children(struct fill *f, struct json_object *v);

static int fill_member(struct fill *f, struct json_object *object, const char *key, struct json_object *v)
{
    struct json_object *in;
    if (!json_object_is_type(v, json_type_string))
        return fill_children(f, v);
    if (replacement(f, v, &in) < 0)
        return -1;
    return in ? json_object_object_add(object, key, in) : 0; /* the key stands: nothing moves under the caller's walk */
}

static int fill_element(struct fill *f, struct json_object *list, size_t i)
{
    struct json_object *in, *v = json_object_array_get_idx(list, i);
    if (!json_object_is_type(v, json_type_string))
        return fill_children(f, v);
    if (replacement(f, v, &in) < 0)
        return -1;
    return in ? json_object_array_put_idx(list, i, in) : 0;
}

static int fill_children(struct fill *f, struct json_object *v)
{
    int rc = 0;
    if (json_object_is_type(v, json_type_object)) {
        json_object_object_foreach(v, key, child)
        {
            if (strcmp(key, "_meta") != 0 && (rc = fill_member(f, v, key, child)) < 0)
                return rc;
        }
    } else if (json_object_is_type(v, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(v) && rc >= 0; i++)
            rc = fill_element(f, v, i);
    }
    return rc;
}

int32_t graph_fill(struct json_object *graph, struct value *values, uint32_t n, const char *spare, struct bp_err *err)
{
    struct fill f = {.values = values, .n = n};
    for (uint32_t i = 0; i < n; i++)
        values[i].uses = 0;
    if (fill_children(&f, graph) < 0)
        return bp_error(err, BP_BADINPUT, "the graph with its values filled in has more than %ld bytes",
                        GRAPH_BYTES_MAX);
    if (f.unknown[0])
        return bp_error(err, BP_INVALID,
                        "the graph has the placeholder %s, and no property of the workflow's settings fills it",
                        f.unknown);
    for (uint32_t i = 0; i < n; i++)
        if (values[i].uses == 0 && (!spare || strcmp(values[i].key, spare) != 0))
            return bp_error(err, BP_INVALID,
                            "the placeholder %.60s of property %.60s is nowhere in the graph: correct one of them",
                            values[i].placeholder, values[i].key);
    return BP_OK;
}

int graph_has(struct json_object *graph, const char *placeholder)
{
    if (json_object_is_type(graph, json_type_string))
        return strstr(json_object_get_string(graph), placeholder) != NULL;
    if (json_object_is_type(graph, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(graph); i++)
            if (graph_has(json_object_array_get_idx(graph, i), placeholder))
                return 1;
    } else if (json_object_is_type(graph, json_type_object)) {
        json_object_object_foreach(graph, key, child)
        {
            if (strcmp(key, "_meta") != 0 && graph_has(child, placeholder))
                return 1;
        }
    }
    return 0;
}
