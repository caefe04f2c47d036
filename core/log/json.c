/* SPDX-License-Identifier: Apache-2.0 */
#include "log/json.h"

#include "log/err.h"
#include "log/json_scan.h"
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How deep json-c may have to go: it counts levels of values, the deepest scalar stands one level below the deepest
 * bracket. What a tokener can do it allocates, so one for the texts that requests bring is a sixth of one for the
 * limit. */
static int depth_of(const char *text, size_t bytes)
{
    int depth = 1;
    for (size_t i = 0; i < bytes && depth <= JSON_DEPTH_MAX; i++)
        depth += text[i] == '{' || text[i] == '[';
    return depth;
}

/* The scanner has checked the grammar; json-c only builds the tree, so its laxer reading of comments is harmless. */
static struct json_object *parse(const char *text, size_t bytes, enum json_dialect dialect, struct bp_err *err)
{
    if (bytes >= INT_MAX) {
        err_set(err, BP_INVALID, "JSON text of %zu bytes is too long", bytes);
        return NULL;
    }
    if (json_scan(text, bytes, dialect, NULL, err) < 0)
        return NULL;
    struct json_tokener *tok = json_tokener_new_ex(depth_of(text, bytes));
    if (!tok) {
        err_set(err, BP_NOMEM, "no memory to read JSON");
        return NULL;
    }
    struct json_object *obj = json_tokener_parse_ex(tok, text, (int)bytes);
    if (json_tokener_get_error(tok) == json_tokener_continue)
        obj = json_tokener_parse_ex(tok, "", 1); /* a number at the very end is complete only now */
    enum json_tokener_error e = json_tokener_get_error(tok);
    if (e != json_tokener_success || !obj) {
        err_set(err, BP_INVALID, "not a JSON value: %s",
                e == json_tokener_success ? "null" : json_tokener_error_desc(e));
        json_object_put(obj);
        obj = NULL;
    }
    json_tokener_free(tok);
    return obj;
}

struct json_object *json_parse(const char *text, size_t bytes, struct bp_err *err)
{
    return parse(text, bytes, JSON_STRICT, err);
}

struct json_object *json_parse_config(const char *text, size_t bytes, struct bp_err *err)
{
    return parse(text, bytes, JSON_CONFIG, err);
}

struct json_object *json_member(struct json_object *obj, const char *key)
{
    struct json_object *v = NULL;
    if (!json_object_is_type(obj, json_type_object))
        return NULL;
    return json_object_object_get_ex(obj, key, &v) ? v : NULL;
}

const char *json_str(struct json_object *obj, const char *key, const char *fallback)
{
    struct json_object *v = json_member(obj, key);
    return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : fallback;
}

int64_t json_int(struct json_object *obj, const char *key, int64_t fallback)
{
    struct json_object *v = json_member(obj, key);
    return json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : fallback;
}

double json_num(struct json_object *obj, const char *key, double fallback)
{
    struct json_object *v = json_member(obj, key);
    if (!json_object_is_type(v, json_type_int) && !json_object_is_type(v, json_type_double))
        return fallback;
    return json_object_get_double(v);
}

int json_truth(struct json_object *obj, const char *key, int fallback)
{
    struct json_object *v = json_member(obj, key);
    return json_object_is_type(v, json_type_boolean) ? json_object_get_boolean(v) : fallback;
}

void json_put_str(struct json_object *obj, const char *key, const char *s)
{
    json_object_object_add(obj, key, s ? json_object_new_string(s) : NULL);
}

void json_put_int(struct json_object *obj, const char *key, int64_t v)
{
    json_object_object_add(obj, key, json_object_new_int64(v));
}

/* The shortest text that reads back as v: 0.1, not 0.10000000000000001. JSON has no infinity: that becomes null. */
void json_put_num(struct json_object *obj, const char *key, double v)
{
    char text[32];
    if (!isfinite(v)) {
        json_object_object_add(obj, key, NULL);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    json_object_object_add(obj, key, json_object_new_double_s(v, text));
}

void json_put_bool(struct json_object *obj, const char *key, int v)
{
    json_object_object_add(obj, key, json_object_new_boolean(v));
}

void json_put_raw(struct json_object *obj, const char *key, const char *json_text)
{
    json_object_object_add(obj, key, json_text ? json_parse(json_text, strlen(json_text), NULL) : NULL);
}

const char *json_text(struct json_object *obj)
{
    return json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}
