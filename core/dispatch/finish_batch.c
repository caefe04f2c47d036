/* SPDX-License-Identifier: Apache-2.0 */
/*
 * finish_batch.c - several jobs completed with one request. Each is checked and answered by itself; those that are good
 * wait for each other and go to the store in one transaction.
 */
#include "dispatch/finish.h"

#include "dispatch/input.h"
#include "dispatch/job_json.h"

#include <string.h>

#define RESULTS_MAX 64

struct results;

struct entry {
    struct results *all;
    struct finish *ready; /* may be sent, but is not yet */
    int settled;          /* ready, or over */
    int64_t id;
    struct json_object *result;
};

struct results {
    struct ask ask;
    uint32_t n, left;   /* left: not over; one more while we are busy with it */
    uint32_t unsettled; /* the store is asked when it is 0 */
    struct entry entries[];
};

static void drop(struct ask *a)
{
    struct results *r = (struct results *)a;
    for (uint32_t i = 0; i < r->n; i++)
        json_object_put(r->entries[i].result);
}

/* How one ended, in a word a worker can act on: only "later" is to be sent again. */
static const char *outcome_of(int rc)
{
    static const struct {
        int rc;
        const char *word;
    } words[] = {
        {BP_OK, "completed"}, {BP_INVALID, "invalid"}, {BP_NOTFOUND, "not_found"}, {BP_STALE, "not_found"},
        {BP_LATER, "later"},  {BP_NOSPACE, "later"},   {BP_TIMEOUT, "later"},      {BP_STOPPED, "later"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (words[i].rc == rc)
            return words[i].word;
    }
    return "failed";
}

static struct json_object *result_json(const struct entry *e, const struct dispatch_answer *a)
{
    struct json_object *o = json_object_new_object();
    put_new(o, "dispatch_id", e->id ? json_object_new_int64(e->id) : NULL);
    put_new(o, "success", json_object_new_boolean(a->rc == BP_OK));
    put_text(o, "outcome", outcome_of(a->rc));
    put_text(o, "message", a->message);
    if (a->fields)
        put_new(o, "data", json_object_get(a->fields));
    return o;
}

static void answered(const struct dispatch_answer *a, void *arg)
{
    struct entry *e = arg;
    e->result = result_json(e, a);
}

static void answer_all(struct results *r)
{
    struct json_object *data = json_object_new_object(), *list = json_object_new_array_ext((int)r->n);
    for (uint32_t i = 0; i < r->n; i++) {
        json_object_array_add(list, r->entries[i].result);
        r->entries[i].result = NULL;
    }
    put_new(data, "results", list);
    ask_ok(&r->ask, "See each result", data);
}

static void release(struct results *r)
{
    if (--r->left > 0)
        return;
    if (r->ask.d->dead)
        ask_forget(&r->ask);
    else
        answer_all(r);
}

/* In one batch where they fit; where not, each is answered by itself all the same. */
static void send_all(struct results *r)
{
    struct dispatch *d = r->ask.d;
    struct bp_err ignored = {0};
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->n; i++)
        n += r->entries[i].ready != NULL;
    r->left++;
    if (!d->dead) {
        bus_cork(d->bus);
        if (n > 1)
            (void)bus_group(d->bus, "queue", n, &ignored);
    }
    for (uint32_t i = 0; i < r->n; i++) {
        struct finish *f = r->entries[i].ready;
        r->entries[i].ready = NULL;
        if (f && d->dead)
            finish_forget(f);
        else if (f)
            finish_send(f);
    }
    if (!d->dead)
        bus_uncork(d->bus);
    release(r);
}

static void settle(struct results *r)
{
    if (--r->unsettled == 0)
        send_all(r);
}

static void entry_ready(struct finish *f, void *arg)
{
    struct entry *e = arg;
    e->ready = f;
    e->settled = 1;
    settle(e->all);
}

static void entry_over(void *arg)
{
    struct entry *e = arg;
    struct results *r = e->all;
    r->ask.on_loop = 1; /* no answer comes before the call returned */
    if (!e->settled) {
        e->settled = 1;
        settle(r);
    }
    release(r);
}

static const struct finish_group group = {entry_ready, entry_over};

static void not_an_object(struct entry *e)
{
    struct dispatch_answer a = {.rc = BP_INVALID, .message = "Each result must be an object, as for one job."};
    e->settled = 1;
    answered(&a, e);
    e->all->left--;
    e->all->unsettled--;
}

static int is_list(struct json_object *list)
{
    size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    return n > 0 && n <= RESULTS_MAX;
}

void finish_batch(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg)
{
    struct json_object *list = json_member(c->body, "results");
    uint32_t n = is_list(list) ? (uint32_t)json_object_array_length(list) : 0;
    struct results *r = ask_new(d, sizeof *r + n * sizeof r->entries[0], fn, arg);
    if (n == 0) {
        struct json_object *fields = json_object_new_object();
        fields_add(fields, "results", "The results field must be a list of 1 to 64 objects.");
        ask_invalid(&r->ask, fields);
        return;
    }
    r->ask.drop = drop;
    r->n = n;
    r->left = r->unsettled = n + 1; /* one for us */
    for (uint32_t i = 0; i < n; i++) {
        struct entry *e = &r->entries[i];
        struct worker_call one = {c->worker, json_object_array_get_idx(list, i), c->ip};
        e->all = r;
        e->id = json_int(one.body, "dispatch_id", 0);
        if (json_object_is_type(one.body, json_type_object))
            finish_complete(d, &one, &group, answered, e);
        else
            not_an_object(e);
    }
    settle(r);
    release(r);
}
