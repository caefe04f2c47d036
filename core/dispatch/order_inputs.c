/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/order_inputs.h"

#include "dispatch/job_json.h"
#include "dispatch/mime.h"
#include "dispatch/order.h"

#include <stdio.h>
#include <string.h>

#define INPUTS_MAX 16

int key_segment_ok(const char *name, size_t n)
{
    if (n == 0 || n > 255 || (n == 1 && name[0] == '.') || (n == 2 && memcmp(name, "..", 2) == 0))
        return 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c < 32 || c == 127 || c == '/' || c == '\\')
            return 0;
    }
    return 1;
}

int key_is_tenants(const char *key, const char *tenant)
{
    char prefix[320];
    int n = snprintf(prefix, sizeof prefix, "tenants/%s/", tenant);
    if (n < 0 || (size_t)n >= sizeof prefix || strlen(key) > 1024 || strncmp(key, prefix, (size_t)n) != 0)
        return 0;
    for (const char *p = key;; p++) {
        size_t len = strcspn(p, "/");
        if (!key_segment_ok(p, len))
            return 0;
        p += len;
        if (*p == '\0')
            return 1;
    }
}

/* "image/jpeg, image/png" */
static void words_of(struct json_object *accepts, char out[256])
{
    out[0] = '\0';
    for (size_t i = 0; i < json_object_array_length(accepts); i++) {
        size_t n = strlen(out);
        const char *s = json_object_get_string(json_object_array_get_idx(accepts, i));
        snprintf(out + n, 256 - n, "%s%s", i ? ", " : "", s ? s : "");
    }
}

static int is_accepted(struct json_object *accepts, const char *mime)
{
    for (size_t i = 0; i < json_object_array_length(accepts); i++) {
        const char *pattern = json_object_get_string(json_object_array_get_idx(accepts, i));
        if (pattern && mime_matches(pattern, mime))
            return 1;
    }
    return 0;
}

static void check_mime(struct input *in, const char *at, const char *mime, struct json_object *accepts)
{
    char field[64], words[256];
    snprintf(field, sizeof field, "%s.mime", at);
    if (mime && !mime_is_valid(mime)) {
        input_wrong(in, field, "The %s field must be a MIME type such as image/jpeg.", field);
        return;
    }
    if (!accepts || json_object_array_length(accepts) == 0)
        return;
    words_of(accepts, words);
    if (!mime)
        input_wrong(in, field, "The %s field is required. Allowed: %s.", field, words);
    else if (!is_accepted(accepts, mime))
        input_wrong(in, field, "The workflow does not take %.100s. Allowed: %s.", mime, words);
}

static const char *text_member(struct input *in, const char *at, struct json_object *o, const char *name)
{
    struct json_object *v = json_member(o, name);
    if (!v)
        return NULL;
    if (json_object_is_type(v, json_type_string))
        return *json_object_get_string(v) ? json_object_get_string(v) : NULL;
    char field[64];
    snprintf(field, sizeof field, "%s.%s", at, name);
    input_wrong(in, field, "The %s field must be a string.", field);
    return NULL;
}

static void check_members(struct input *in, const char *at, struct json_object *o)
{
    struct json_object_iterator it = json_object_iter_begin(o), end = json_object_iter_end(o);
    for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
        const char *key = json_object_iter_peek_name(&it);
        char field[320];
        if (strcmp(key, "key") == 0 || strcmp(key, "mime") == 0 || strcmp(key, "name") == 0)
            continue;
        snprintf(field, sizeof field, "%s.%s", at, key);
        input_wrong(in, field, "Unknown field. Allowed: key, mime, name.");
    }
}

static struct json_object *read_one(struct input *in, const struct order_inputs *what, const char *at,
                                    struct json_object *o)
{
    char field[64];
    if (!json_object_is_type(o, json_type_object)) {
        input_wrong(in, at, "The %s field must be an object with key, mime and name.", at);
        return NULL;
    }
    check_members(in, at, o);
    const char *key = text_member(in, at, o, "key"), *mime = text_member(in, at, o, "mime");
    const char *name = text_member(in, at, o, "name");
    snprintf(field, sizeof field, "%s.key", at);
    if (!key)
        input_wrong(in, field, "The %s field is required: the key that POST /api/uploads gave.", field);
    else if (!key_is_tenants(key, what->tenant))
        input_wrong(in, field, "The %s field must be the key of an upload of yours.", field);
    check_mime(in, at, mime, json_member(what->workflow->manifest, "accepts"));
    if (name && strlen(name) > 255) {
        snprintf(field, sizeof field, "%s.name", at);
        input_wrong(in, field, "The %s field must not be greater than 255 characters.", field);
    }
    struct json_object *stored = json_object_new_object();
    put_text(stored, "key", key);
    put_text(stored, "mime", mime);
    put_text(stored, "name", name);
    return stored;
}

static void check_number(struct input *in, const struct order_inputs *what, size_t n)
{
    struct json_object *accepts = json_member(what->workflow->manifest, "accepts");
    int64_t most = json_int(what->workflow->manifest, "maxInputs", INPUTS_MAX);
    char words[256];
    if (n == 0 && accepts && json_object_is_type(accepts, json_type_array) && json_object_array_length(accepts) > 0) {
        words_of(accepts, words);
        input_wrong(in, "inputs", "The inputs field is required: at least one of %s.", words);
    }
    if ((int64_t)n > most)
        input_wrong(in, "inputs", "The inputs field must not have more than %lld items.", (long long)most);
}

struct json_object *order_inputs_read(struct input *in, const struct order_inputs *what)
{
    struct json_object *list = json_object_new_array_ext(1);
    size_t n = json_object_is_type(what->list, json_type_array) ? json_object_array_length(what->list) : 0;
    if (what->one && what->list)
        input_wrong(in, "input", "Give either input or inputs, not both.");
    if (what->one && json_object_is_type(what->one, json_type_object))
        json_object_array_add(list, read_one(in, what, "input", what->one));
    for (size_t i = 0; i < n && i <= INPUTS_MAX; i++) {
        char at[32];
        snprintf(at, sizeof at, "inputs.%zu", i);
        json_object_array_add(list, read_one(in, what, at, json_object_array_get_idx(what->list, i)));
    }
    if (!in->fields)
        check_number(in, what, what->one ? 1 : n);
    return list;
}
