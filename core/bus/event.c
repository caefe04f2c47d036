/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/bus_private.h"

#include "log/json.h"
#include <stdlib.h>
#include <string.h>

static const struct event_info table[EVENT_END] = {
    {"", "", ""},
#define BP_EVENT(id, name, help, fields) {name, help, fields},
#include <bp/event.def>
};

const struct event_info *event_info(enum event_id id)
{
    assert(id > EVENT_NONE && id < EVENT_END);
    return &table[id];
}

enum event_id event_find(const char *name)
{
    for (int i = EVENT_NONE + 1; i < EVENT_END; i++) {
        if (strcmp(name, table[i].name) == 0)
            return (enum event_id)i;
    }
    return EVENT_NONE;
}

/* "job.leased", "job.*" or "*". */
static int matches(const char *pattern, const char *name)
{
    size_t n = strlen(pattern);
    if (n > 0 && pattern[n - 1] == '*')
        return strncmp(pattern, name, n - 1) == 0;
    return strcmp(pattern, name) == 0;
}

void event_wants(const char *pattern, uint8_t wants[EVENT_END])
{
    wants[EVENT_NONE] = 0;
    for (int i = EVENT_NONE + 1; i < EVENT_END; i++)
        wants[i] = (uint8_t)matches(pattern, table[i].name);
}

uint32_t event_match(const char *pattern)
{
    uint8_t wants[EVENT_END];
    uint32_t n = 0;
    event_wants(pattern, wants);
    for (int i = EVENT_NONE + 1; i < EVENT_END; i++)
        n += wants[i];
    return n;
}

struct event_msg *event_msg_new(const struct record *r)
{
    struct event_box *box = malloc(sizeof *box + r->bytes);
    if (!box)
        return NULL;
    *box = (struct event_box){.msg = {.id = (enum event_id)r->id, .seq = r->seq, .at_ms = r->at_ms}, .refs = 1};
    memcpy(box->data, r->data, r->bytes);
    return &box->msg;
}

struct json_object *event_fields(const struct event_msg *e)
{
    struct event_box *box = (struct event_box *)(uintptr_t)e; /* what it tells stays the same */
    if (!box->fields)
        box->fields = record_to_json(table[e->id].fields, box->data);
    return box->fields;
}

struct event_msg *event_ref(struct event_msg *e)
{
    ((struct event_box *)e)->refs++;
    return e;
}

void event_unref(struct event_msg *e)
{
    struct event_box *box = (struct event_box *)e;
    if (!e || --box->refs > 0)
        return;
    json_object_put(box->fields);
    free(box);
}

char *event_json(const struct event_msg *e)
{
    struct json_object *obj = json_object_new_object(), *fields = event_fields(e);
    if (!obj || !fields) {
        json_object_put(obj);
        return NULL;
    }
    json_put_str(obj, "event", table[e->id].name);
    json_put_int(obj, "seq", e->seq);
    json_put_int(obj, "at_ms", e->at_ms);
    json_object_object_foreach(fields, key, v)
    {
        json_object_object_add(obj, key, json_object_get(v));
    }
    char *text = strdup(json_text(obj));
    json_object_put(obj);
    return text;
}
