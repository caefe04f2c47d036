/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include "json.h"

#include <bp/workflow.h>

static const struct {
    const char *name;
    enum property_type type;
} types[] = {
    {"text", PROPERTY_TEXT},     {"string", PROPERTY_TEXT},  {"integer", PROPERTY_INTEGER},
    {"number", PROPERTY_NUMBER}, {"float", PROPERTY_NUMBER}, {"boolean", PROPERTY_BOOLEAN},
    {"image", PROPERTY_FILE},    {"video", PROPERTY_FILE},   {"audio", PROPERTY_FILE},
    {"file", PROPERTY_FILE},
};
#define TYPES (sizeof types / sizeof types[0])

/* A member as the field's rows have it: null counts as absent. */
static struct json_object *present(struct json_object *o, const char *key)
{
    struct json_object *v = json_member(o, key);
    return json_object_is_type(v, json_type_null) ? NULL : v;
}

/* A text, or the text of a number: node ids stand either way in graphs' settings. NULL: absent. */
static const char *text_of(struct json_object *o, const char *key)
{
    struct json_object *v = present(o, key);
    return v ? json_object_get_string(v) : NULL;
}

static int32_t read_seconds(struct json_object *o, const char *key, int32_t fallback, int32_t *out, struct bp_err *err)
{
    struct json_object *v = present(o, key);
    *out = fallback;
    if (!v)
        return BP_OK;
    int64_t s = json_object_get_int64(v);
    if (!json_object_is_type(v, json_type_int) || s < 1 || s > 86400)
        return bp_error(err, BP_INVALID, "settings.%s must be 1 to 86400 seconds", key);
    *out = (int32_t)s;
    return BP_OK;
}

static int32_t read_url(struct settings *s, struct bp_err *err)
{
    const char *url = text_of(s->root, "url");
    if (!url || !*url)
        url = "http://127.0.0.1:8188";
    size_t n = strlen(url);
    while (n > 0 && url[n - 1] == '/')
        n--;
    if (n >= sizeof s->url || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) ||
        url[strcspn(url, " \t\r\n?#@")] != '\0')
        return bp_error(err, BP_INVALID, "settings.url must be http://HOST:PORT of ComfyUI, without user and query");
    memcpy(s->url, url, n);
    s->url[n] = '\0';
    return BP_OK;
}

static int32_t read_type(struct property *p, const char *name, struct bp_err *err)
{
    for (size_t i = 0; i < TYPES; i++)
        if (strcmp(types[i].name, name) == 0) {
            p->type = types[i].type;
            return BP_OK;
        }
    return bp_error(err, BP_INVALID,
                    "settings: property %.60s has the type %.40s; there are text, integer, number, boolean, image, "
                    "video, audio and file",
                    p->key, name);
}

static int truth(struct json_object *o, const char *key, int fallback)
{
    struct json_object *v = present(o, key);
    return v ? json_object_get_boolean(v) : fallback;
}

static int32_t read_property(struct property *p, struct json_object *o, struct bp_err *err)
{
    p->key = text_of(o, "key");
    p->placeholder = text_of(o, "placeholder");
    if (!p->key || !*p->key)
        return bp_error(err, BP_INVALID, "settings: a property has no key");
    if (!p->placeholder || !*p->placeholder)
        return bp_error(err, BP_INVALID, "settings: property %.60s has no placeholder", p->key);
    const char *type = text_of(o, "type");
    int32_t rc = read_type(p, type ? type : "text", err);
    if (rc < 0)
        return rc;
    p->fallback = present(o, "default_value");
    p->in_comfyui = text_of(o, "in_comfyui");
    p->required = truth(o, "required", 0);
    p->configurable = truth(o, "user_configurable", 1);
    p->primary = truth(o, "is_primary_input", 0);
    if (p->type != PROPERTY_FILE && (p->primary || p->in_comfyui))
        return bp_error(err, BP_INVALID, "settings: property %.60s is no file, so it cannot be %s", p->key,
                        p->primary ? "the primary input" : "in ComfyUI's input folder");
    return BP_OK;
}

/* Two properties with one placeholder, or two primary ones, would leave it to chance which one counts. */
static int32_t check_unique(const struct settings *s, struct bp_err *err)
{
    for (uint32_t i = 0; i < s->n_properties; i++)
        for (uint32_t j = 0; j < i; j++) {
            const struct property *a = &s->properties[j], *b = &s->properties[i];
            if (strcmp(a->placeholder, b->placeholder) == 0)
                return bp_error(err, BP_INVALID, "settings: properties %.50s and %.50s have the same placeholder %.60s",
                                a->key, b->key, a->placeholder);
            if (a->primary && b->primary)
                return bp_error(err, BP_INVALID, "settings: properties %.50s and %.50s are both the primary input",
                                a->key, b->key);
        }
    return BP_OK;
}

static int32_t read_properties(struct settings *s, struct bp_err *err)
{
    struct json_object *list = present(s->root, "properties");
    size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    if (list && !json_object_is_type(list, json_type_array))
        return bp_error(err, BP_INVALID, "settings.properties must be a list");
    if (n > PROPERTIES_MAX)
        return bp_error(err, BP_INVALID, "settings.properties has %zu members; at most %d are allowed", n,
                        PROPERTIES_MAX);
    for (size_t i = 0; i < n; i++) {
        int32_t rc = read_property(&s->properties[i], json_object_array_get_idx(list, i), err);
        if (rc < 0)
            return rc;
        s->n_properties++;
    }
    return check_unique(s, err);
}

static int32_t read_limits(struct settings *s, struct bp_err *err)
{
    struct json_object *bytes = present(s->root, "max_output_bytes");
    int32_t rc = read_seconds(s->root, "start_timeout_s", 60, &s->start_s, err);
    if (rc == BP_OK)
        rc = read_seconds(s->root, "request_timeout_s", 30, &s->request_s, err);
    if (rc == BP_OK)
        rc = read_seconds(s->root, "transfer_timeout_s", 300, &s->transfer_s, err);
    s->output_bytes = bytes ? json_object_get_int64(bytes) : (int64_t)4 << 30;
    if (rc == BP_OK && s->output_bytes < 1)
        return bp_error(err, BP_INVALID, "settings.max_output_bytes must be a positive number");
    return rc;
}

static int32_t read_graph(struct settings *s, struct bp_err *err)
{
    static const char *const names[] = {"graph", "workflow", "comfyui_workflow"}; /* the payload's names count too */
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !s->graph; i++)
        s->graph = present(s->root, names[i]);
    int is_file = json_object_is_type(s->graph, json_type_string) && json_object_get_string_len(s->graph) > 0;
    if (!is_file && !json_object_is_type(s->graph, json_type_object))
        return bp_error(err, BP_INVALID,
                        "settings.graph must be the graph in ComfyUI's API form, or the name of a file with it");
    return BP_OK;
}

int32_t settings_read(struct settings *s, const char *text, const char *dir, struct bp_err *err)
{
    memset(s, 0, sizeof *s);
    s->root = json_read(text, strlen(text));
    if (!json_object_is_type(s->root, json_type_object))
        return bp_error(err, BP_INVALID, "the workflow's settings are no JSON object");
    s->dir = dir ? dir : "";
    s->output_node = text_of(s->root, "output_node_id");
    s->extra_data = present(s->root, "extra_data");
    const char *placeholder = text_of(s->root, "input_path_placeholder");
    s->input_placeholder = placeholder && *placeholder ? placeholder : "__INPUT_PATH__";
    const char *prefix = text_of(s->root, "input_reference_prefix");
    s->input_prefix = prefix ? prefix : "";
    if (strlen(s->input_prefix) > 200)
        return bp_error(err, BP_INVALID, "settings.input_reference_prefix has more than 200 bytes");
    s->input_node = text_of(s->root, "input_node_id");
    s->input_field = text_of(s->root, "input_field");
    if (!s->input_node != !s->input_field)
        return bp_error(err, BP_INVALID, "settings.input_node_id and settings.input_field belong together");
    int32_t rc = read_url(s, err);
    if (rc == BP_OK)
        rc = read_graph(s, err);
    if (rc == BP_OK)
        rc = read_limits(s, err);
    return rc == BP_OK ? read_properties(s, err) : rc;
}

const char *settings_spare_key(const struct settings *s)
{
    for (uint32_t i = 0; s->input_node && i < s->n_properties; i++)
        if (s->properties[i].primary)
            return s->properties[i].key;
    return s->input_node ? "input" : NULL;
}

void settings_free(struct settings *s)
{
    json_object_put(s->root);
    s->root = NULL;
}
