/* SPDX-License-Identifier: Apache-2.0 */
/* job_json.h - a job's row as tenants and operators read it, and as a worker gets it. Safe from any thread. */
#ifndef DISPATCH_JOB_JSON_H
#define DISPATCH_JOB_JSON_H

#include "log/json.h"
#include <bp/queue.h>

/* Adds a member whose name is a literal and not in the object yet: no copy, no search. */
static inline void put_new(struct json_object *o, const char *key, struct json_object *v)
{
    json_object_object_add_ex(o, key, v, JSON_C_OBJECT_ADD_KEY_IS_NEW | JSON_C_OBJECT_ADD_CONSTANT_KEY);
}
static inline void put_text(struct json_object *o, const char *key, const char *s)
{
    put_new(o, key, s ? json_object_new_string(s) : NULL);
}
static inline void put_int(struct json_object *o, const char *key, int64_t v)
{
    put_new(o, key, json_object_new_int64(v));
}
/* A number with a fraction, "0.0" for 0. */
void put_num(struct json_object *o, const char *key, double v);
/* ISO time, null when ms is 0. */
void put_time(struct json_object *o, const char *key, int64_t ms);
/* The JSON in `text`, an empty object (or list) when it is absent or broken. The caller's. */
struct json_object *object_of(const char *text);
struct json_object *list_of(const char *text);

/* The job; params and inputs may be given parsed (borrowed), else they are parsed from the row. The caller's. */
struct json_object *job_json(const struct bp_job_row *job, struct json_object *params, struct json_object *inputs);
/* Its timeline as a list. The caller's. */
struct json_object *timeline_json(const struct bp_job_event *events, uint32_t n);

#endif
