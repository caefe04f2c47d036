/* SPDX-License-Identifier: Apache-2.0 */
/* Every subscriber sees the events it wants in the order of their seq, also those published from inside a subscriber.
 */
#include "bus/bus_private.h"

#include "log/err.h"
#include "log/json.h"
#include "log/log.h"
#include <stdlib.h>
#include <string.h>

static void queue_push(struct event_queue *q, struct event_box *box)
{
    box->next = NULL;
    if (q->tail)
        q->tail->next = box;
    else
        q->head = box;
    q->tail = box;
}

static struct event_box *queue_pop(struct event_queue *q)
{
    struct event_box *box = q->head;
    if (box && !(q->head = box->next))
        q->tail = NULL;
    return box;
}

static void hand_out(struct bus *b, const struct event_msg *e)
{
    for (struct subscription *s = b->subs; s; s = s->next) {
        if (!s->dead && s->wants[e->id] && e->seq > s->after_seq)
            s->fn(e, s->arg);
    }
}

static void sweep_dead(struct bus *b)
{
    for (struct subscription **link = &b->subs; *link;) {
        struct subscription *s = *link;
        if (!s->dead) {
            link = &s->next;
            continue;
        }
        *link = s->next;
        s->magic = 0;
        free(s);
    }
}

static void hand_out_queued(struct bus *b)
{
    struct event_box *box;
    b->handing_out = 1;
    while ((box = queue_pop(&b->queue))) {
        hand_out(b, &box->msg);
        event_unref(&box->msg);
    }
    b->handing_out = 0;
    sweep_dead(b);
}

/* The fields stand in b->scratch. */
static void publish(struct bus *b, enum event_id id, uint32_t bytes)
{
    struct record r = {
        .id = (int)id, .bytes = bytes, .seq = ++b->seq, .at_ms = loop_now_ms(b->loop), .data = b->scratch};
    recent_add(&b->recent, &r);
    if (!b->interest[id])
        return;
    struct event_msg *e = event_msg_new(&r);
    if (!e) {
        log_error(LOG_BUS, "event %s %lld was lost to its listeners: no memory", event_info(id)->name,
                  (long long)r.seq);
        return;
    }
    queue_push(&b->queue, (struct event_box *)e);
    if (!b->handing_out)
        hand_out_queued(b);
}

void bus_publish(struct bus *b, enum event_id id, ...)
{
    va_list ap;
    assert(b->magic == BUS_MAGIC);
    ASSERT_LOOP(b->loop);
    va_start(ap, id);
    uint32_t bytes = record_from_args(event_info(id)->fields, ap, b->scratch);
    va_end(ap);
    publish(b, id, bytes);
}

/* ---- from JSON, any thread ---- */

struct posted {
    struct bus *bus;
    enum event_id id;
    struct json_object *fields;
};

static void publish_posted(void *arg)
{
    struct posted *p = arg;
    if (p->bus->magic == BUS_MAGIC)
        publish(p->bus, p->id, record_from_json(event_info(p->id)->fields, p->fields, p->bus->scratch));
    json_object_put(p->fields);
    free(p);
}

static int unknown_event(const char *name, struct bp_err *err)
{
    const char *names[EVENT_END];
    for (int i = EVENT_NONE + 1; i < EVENT_END; i++)
        names[i - 1] = event_info((enum event_id)i)->name;
    const char *near = nearest_name(name, names, EVENT_END - 1);
    return err_set(err, BP_INVALID, "there is no event \"%s\"%s%s%s", name, near ? "; did you mean \"" : "",
                   near ? near : "", near ? "\"?" : "");
}

static int has_type(struct json_object *v, char type)
{
    enum json_type t = json_object_get_type(v);
    if (type == 's')
        return t == json_type_string;
    return t == json_type_int || (type == 'f' && t == json_type_double);
}

static int is_field(const char *fields, const char *name)
{
    struct record_field f;
    while (record_field_next(&fields, &f)) {
        if (strcmp(f.name, name) == 0)
            return 1;
    }
    return 0;
}

static int check_fields(enum event_id id, struct json_object *obj, struct bp_err *err)
{
    const struct event_info *info = event_info(id);
    const char *at = info->fields;
    struct record_field f;
    if (!json_object_is_type(obj, json_type_object))
        return err_set(err, BP_INVALID, "event %s: its fields must be a JSON object", info->name);
    while (record_field_next(&at, &f)) {
        struct json_object *v = json_member(obj, f.name);
        if (!v)
            return err_set(err, BP_INVALID, "event %s: field %s is missing (its fields: %s)", info->name, f.name,
                           info->fields);
        if (!has_type(v, f.type))
            return err_set(err, BP_INVALID, "event %s: field %s must be %s", info->name, f.name,
                           f.type == 's'   ? "text"
                           : f.type == 'i' ? "an integer"
                                           : "a number");
    }
    json_object_object_foreach(obj, key, value)
    {
        (void)value;
        if (!is_field(info->fields, key))
            return err_set(err, BP_INVALID, "event %s has no field %s (its fields: %s)", info->name, key, info->fields);
    }
    return 0;
}

int bus_publish_json(struct bus *b, const char *name, const char *fields_json, struct bp_err *err)
{
    enum event_id id = event_find(name);
    if (id == EVENT_NONE)
        return unknown_event(name, err);
    struct json_object *obj = json_parse(fields_json ? fields_json : "{}", fields_json ? strlen(fields_json) : 2, err);
    int rc = obj ? check_fields(id, obj, err) : err ? err_prefix(err, "event %s: ", name) : BP_INVALID;
    struct posted *p = rc == 0 ? malloc(sizeof *p) : NULL;
    if (!p) {
        json_object_put(obj);
        return rc < 0 ? rc : err_set(err, BP_NOMEM, "event %s: no memory", name);
    }
    *p = (struct posted){b, id, obj};
    if (loop_is_mine(b->loop))
        publish_posted(p);
    else
        loop_post(b->loop, "bus.publish", publish_posted, p);
    return 0;
}

/* ---- subscriptions ---- */

struct subscription *bus_subscribe(struct bus *b, const char *pattern, event_fn fn, void *arg)
{
    ASSERT_LOOP(b->loop);
    struct subscription *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    *s = (struct subscription){.magic = SUBSCRIPTION_MAGIC, .bus = b, .after_seq = b->seq, .fn = fn, .arg = arg};
    event_wants(pattern, s->wants);
    for (int i = 0; i < EVENT_END; i++)
        b->interest[i] += s->wants[i];
    struct subscription **link = &b->subs;
    while (*link)
        link = &(*link)->next;
    *link = s;
    return s;
}

void bus_unsubscribe(struct subscription *s)
{
    if (!s)
        return;
    assert(s->magic == SUBSCRIPTION_MAGIC && !s->dead);
    struct bus *b = s->bus;
    ASSERT_LOOP(b->loop);
    for (int i = 0; i < EVENT_END; i++)
        b->interest[i] -= s->wants[i];
    s->dead = 1;
    if (!b->handing_out)
        sweep_dead(b);
}

void bus_recent(struct bus *b, const char *pattern, uint32_t max, event_fn fn, void *arg)
{
    uint8_t wants[EVENT_END];
    uint32_t n = 0, at = b->recent.count;
    ASSERT_LOOP(b->loop);
    struct event_msg **found = calloc(b->recent.count + 1, sizeof *found);
    if (!found)
        return;
    event_wants(pattern, wants);
    while (at > 0 && n < max) {
        const struct record *r = recent_at(&b->recent, --at);
        if (wants[r->id] && (found[n] = event_msg_new(r)))
            n++;
    }
    while (n > 0) { /* fn may publish: the ring is not touched any more */
        fn(found[--n], arg);
        event_unref(found[n]);
    }
    free(found);
}

void bus_free_events(struct bus *b)
{
    struct event_box *box;
    for (struct subscription *s = b->subs; s; s = s->next)
        s->dead = 1;
    sweep_dead(b);
    while ((box = queue_pop(&b->queue)))
        event_unref(&box->msg);
    recent_close(&b->recent);
}
