/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/order.h"

#include "dispatch/effects.h"
#include "dispatch/order_inputs.h"
#include "schema/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    F_WORKFLOW,
    F_EFFECT,
    F_PARAMS,
    F_INPUTS,
    F_INPUT,
    F_PRIORITY,
    F_NOT_BEFORE,
    F_KEY,
    F_ATTEMPTS,
    F_UNIQUE,
    F_AFTER,
    N_FIELDS
};
#define MOMENT_MAX 253402300799999 /* the end of the year 9999: what is given in microseconds would never come */
static const struct input_rule rules[N_FIELDS] = {
    [F_WORKFLOW] = {"workflow", INPUT_TEXT, INPUT_STRICT, 0, 127},
    [F_EFFECT] = {"effect", INPUT_TEXT, 0, 0, 127},
    [F_PARAMS] = {"params", INPUT_OBJECT, 0, 0, 0},
    [F_INPUTS] = {"inputs", INPUT_LIST, 0, 0, 0},
    [F_INPUT] = {"input", INPUT_OBJECT, 0, 0, 0},
    [F_PRIORITY] = {"priority", INPUT_INTEGER, 0, -1000, 1000},
    [F_NOT_BEFORE] = {"not_before", INPUT_MOMENT, 0, 0, MOMENT_MAX},
    [F_KEY] = {"idempotency_key", INPUT_TEXT, 0, 0, 255},
    [F_ATTEMPTS] = {"max_attempts", INPUT_INTEGER, 0, 1, 100},
    [F_UNIQUE] = {"unique_key", INPUT_TEXT, 0, 0, 255},
    [F_AFTER] = {"after", INPUT_LIST, 0, 0, 0},
};

/* ---- the digest ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The value with the members of every object in name order. */
static struct json_object *sorted(struct json_object *v)
{
    if (json_object_is_type(v, json_type_array)) {
        struct json_object *list = json_object_new_array();
        for (size_t i = 0; i < json_object_array_length(v); i++)
            json_object_array_add(list, sorted(json_object_array_get_idx(v, i)));
        return list;
    }
    if (!json_object_is_type(v, json_type_object))
        return json_object_get(v);
    size_t n = (size_t)json_object_object_length(v), i = 0;
    const char **names = calloc(n + 1, sizeof *names);
    struct json_object *o = json_object_new_object();
    struct json_object_iterator it = json_object_iter_begin(v), end = json_object_iter_end(v);
    for (; names && !json_object_iter_equal(&it, &end); json_object_iter_next(&it))
        names[i++] = json_object_iter_peek_name(&it);
    if (names)
        qsort(names, i, sizeof *names, by_name);
    for (size_t k = 0; k < i; k++)
        json_object_object_add(o, names[k], sorted(json_object_object_get(v, names[k])));
    free(names);
    return o;
}

void order_digest(struct json_object *body, char out[DIGEST_SIZE])
{
    struct json_object *o = sorted(body);
    json_object_object_del(o, "idempotency_key");
    const char *text = json_text(o);
    digest_make(text, strlen(text), out);
    json_object_put(o);
}

/* ---- what is asked for ---- */

static void not_found(struct order *o, const char *kind, const char *slug, const char *near)
{
    o->rc = BP_NOTFOUND;
    if (near)
        snprintf(o->message, sizeof o->message, "Unknown %s \"%s\". Did you mean \"%s\"?", kind, slug, near);
    else
        snprintf(o->message, sizeof o->message, "Unknown %s \"%s\".", kind, slug);
    text_repair(o->message);
}

static struct json_object *read_effect(struct order *o, struct dispatch *d, const char *slug)
{
    struct json_object *effect = effect_find(d, slug);
    if (!effect) {
        not_found(o, "effect", slug, effect_nearest(d, slug));
        return NULL;
    }
    snprintf(o->effect, sizeof o->effect, "%s", slug);
    snprintf(o->workflow, sizeof o->workflow, "%s", json_str(effect, "workflow", ""));
    return effect;
}

static const struct workflow *read_workflow(struct order *o, struct dispatch *d)
{
    const struct workflow *w = host_workflow(d->host, o->workflow);
    if (!w) {
        not_found(o, "workflow", o->workflow, host_nearest_workflow(d->host, o->workflow));
    } else if (w->draining) {
        o->rc = BP_CONFLICT;
        snprintf(o->message, sizeof o->message,
                 "Workflow %s is draining: its plugin was removed; no new jobs are taken.", o->workflow);
    }
    return w;
}

/* Which workflow, by itself or through an effect; NULL with o->rc or a wrong field when there is none. */
static const struct workflow *read_target(struct order *o, struct dispatch *d, struct json_object **effect)
{
    const char *slug = input_text(&o->in, F_WORKFLOW, NULL), *effect_slug = input_text(&o->in, F_EFFECT, NULL);
    if (slug && effect_slug) {
        input_wrong(&o->in, "effect", "Give either workflow or effect, not both.");
        return NULL;
    }
    if (!slug && !effect_slug) {
        if (!o->in.fields || !json_object_object_get_ex(o->in.fields, "workflow", NULL))
            input_wrong(&o->in, "workflow", "The workflow field is required (or effect).");
        return NULL;
    }
    if (effect_slug) {
        *effect = read_effect(o, d, effect_slug);
        if (!*effect)
            return NULL;
    } else {
        snprintf(o->workflow, sizeof o->workflow, "%s", slug);
    }
    return read_workflow(o, d);
}

static void read_params(struct order *o, const struct workflow *w, struct json_object *effect)
{
    struct json_object *fields = json_object_new_object();
    struct json_object *own = o->in.value[F_PARAMS].given ? o->in.value[F_PARAMS].json : NULL;
    o->params = effect_merge(effect, own, fields);
    if (w->params)
        schema_check(w->params, o->params, "params", fields);
    if (json_object_object_length(fields) > 0) {
        if (!o->in.fields)
            o->in.fields = json_object_new_object();
        struct json_object_iterator it = json_object_iter_begin(fields), end = json_object_iter_end(fields);
        for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it))
            json_object_object_add(o->in.fields, json_object_iter_peek_name(&it),
                                   json_object_get(json_object_iter_peek_value(&it)));
    }
    json_object_put(fields);
}

static int has_id(const struct order *o, int64_t id)
{
    for (uint32_t i = 0; i < o->n_after; i++) {
        if (o->after[i] == id)
            return 1;
    }
    return 0;
}

static void read_after(struct order *o)
{
    struct json_object *list = o->in.value[F_AFTER].given ? o->in.value[F_AFTER].json : NULL;
    size_t n = list ? json_object_array_length(list) : 0;
    if (n > BP_AFTER_MAX) {
        input_wrong(&o->in, "after", "The after field must not have more than %d items.", BP_AFTER_MAX);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct json_object *v = json_object_array_get_idx(list, i);
        int64_t id = json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : 0;
        char field[32];
        snprintf(field, sizeof field, "after.%zu", i);
        if (id <= 0)
            input_wrong(&o->in, field, "The %s field must be the id of a job of yours.", field);
        else if (has_id(o, id))
            input_wrong(&o->in, field, "Job %lld is named twice.", (long long)id);
        else
            o->after[o->n_after++] = id;
    }
}

/* The rules count characters, the store bytes. */
static const char *read_key(struct order *o, uint32_t i, const char *spoken)
{
    const char *key = input_text(&o->in, i, NULL);
    if (key && strlen(key) > 255)
        input_wrong(&o->in, rules[i].name, "The %s field must not be longer than 255 bytes.", spoken);
    return key;
}

static void read_numbers(struct order *o, const struct dispatch *d, const struct workflow *w)
{
    int32_t attempts = w->max_attempts > 0 ? w->max_attempts : d->set.max_attempts;
    o->priority = (int32_t)input_integer(&o->in, F_PRIORITY, 0);
    o->max_attempts = (int32_t)input_integer(&o->in, F_ATTEMPTS, attempts);
    o->not_before_ms = input_integer(&o->in, F_NOT_BEFORE, 0);
}

int order_read(struct order *o, struct dispatch *d, const char *tenant, struct json_object *body)
{
    struct json_object *effect = NULL;
    memset(o, 0, sizeof *o);
    input_read(&o->in, rules, N_FIELDS, body);
    const struct workflow *w = read_target(o, d, &effect);
    if (w && o->rc == BP_OK) {
        read_params(o, w, effect);
        o->inputs = order_inputs_read(
            &o->in, &(struct order_inputs){w, tenant, o->in.value[F_INPUTS].json, o->in.value[F_INPUT].json});
        o->single = o->in.value[F_INPUT].json != NULL;
        read_numbers(o, d, w);
        read_after(o);
        o->unique_key = read_key(o, F_UNIQUE, "unique key");
        o->idempotency_key = read_key(o, F_KEY, "idempotency key");
    }
    if (o->in.fields)
        o->rc = BP_INVALID;
    if (o->rc == BP_OK && o->idempotency_key)
        order_digest(body, o->request_hash);
    return o->rc;
}

void order_close(struct order *o)
{
    json_object_put(o->params);
    json_object_put(o->inputs);
    input_close(&o->in);
}
