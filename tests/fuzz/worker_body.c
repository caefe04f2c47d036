/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any body to any endpoint of workers and tenants (the first byte picks one): answered exactly once, after the call
 * returned, with a sentence, in well-formed JSON. No queue runs, so what passes the checks is told to come again later.
 */
#include "dispatch/auth.h"
#include "dispatch/dispatch.h"
#include "log/json.h"
#include "photo_host.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the engine ---- */

static struct loop *loop;
static struct bus *bus;
static struct dispatch *engine;
static char id[] = "w", slug[] = "photo", none[] = "";
static char *slugs[] = {slug};
static struct worker_auth worker = {.refs = 1 << 30, /* never freed */
                                    .approved = 1,
                                    .max_concurrency = 1,
                                    .worker_id = id,
                                    .display_name = none,
                                    .capabilities = none,
                                    .source = none,
                                    .n_workflows = 1,
                                    .workflows = slugs};

static void set_up(void)
{
    loop = loop_new();
    bus = bus_new(loop);
    engine = photo_engine(bus);
}

/* ---- one call ---- */

static int returned, answers;

static void check_json(struct json_object *o)
{
    struct bp_err err = {0};
    if (!o)
        return;
    const char *text = json_text(o);
    struct json_object *again = json_parse(text, strlen(text), &err);
    if (!again)
        abort();
    json_object_put(again);
}

static void answered(const struct dispatch_answer *a, void *arg)
{
    (void)arg;
    answers++;
    if (!returned || answers > 1)
        abort();
    if (a->rc == BP_INVALID && a->fields && json_object_object_length(a->fields) == 0)
        abort();
    if (a->rc != BP_OK && (!a->message || !*a->message))
        abort();
    struct json_object *message = a->message ? json_object_new_string(a->message) : NULL;
    check_json(message);
    check_json(a->fields);
    check_json(a->data);
    json_object_put(message);
}

typedef void (*door)(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg);
static const door doors[] = {dispatch_worker_register, dispatch_worker_poll,      dispatch_worker_heartbeat,
                             dispatch_worker_progress, dispatch_worker_complete,  dispatch_worker_fail,
                             dispatch_worker_requeue,  dispatch_worker_deregister};
#define N_DOORS (sizeof doors / sizeof *doors)

static void call(unsigned which, struct json_object *body)
{
    struct worker_call c = {.worker = which == 0 ? NULL : &worker, .body = body, .ip = "127.0.0.1"};
    if (which < N_DOORS)
        doors[which](engine, &c, answered, NULL);
    else if (which == N_DOORS)
        dispatch_upload(engine, "acme", body, answered, NULL);
    else
        dispatch_submit(engine, "acme", "tenant:acme", body, answered, NULL);
}

static void stop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bp_err err = {0};
    if (!engine)
        set_up();
    if (size < 1)
        return 0;
    struct json_object *body = json_parse((const char *)data + 1, size - 1, &err);
    returned = answers = 0;
    call(data[0] % (N_DOORS + 2), body);
    returned = 1;
    loop_post(loop, "fuzz.stop", stop, NULL);
    loop_run(loop);
    json_object_put(body);
    if (answers != 1)
        abort();
    return 0;
}
