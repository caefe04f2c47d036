/* SPDX-License-Identifier: Apache-2.0 */
/* image.c - what new instances are made from: shown of every workflow, and set for one. */
#include "fleet_priv.h"

#include "log/err.h"
#include "log/json.h"
#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One workflow's question; the spec's strings are the call's. */
struct image {
    struct image *next;
    struct fleet_call *call;
    char error[252];
};

/* The provider's until it is done. */
struct question {
    struct image *list;
    char ami[64];
    int force;
    struct lead_term term;
};

struct asker {
    struct fleets *fleets;
    fleet_answer done;
    void *arg;
    int setting;
    char who[64];
};

static void question_free(void *arg)
{
    struct question *q = arg;
    while (q->list) {
        struct image *i = q->list;
        q->list = i->next;
        free(i->call->diff);
        free(i->call);
        free(i);
    }
    free(q);
}

/* On the provider's thread. One that cannot say it of one workflow may of the others. */
static int run_show(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_fleet *t = table;
    const struct question *q = args;
    if (!BP_HAS(t, image))
        return err_set(err, BP_UNSUPPORTED, "the provider of the fleets makes instances from no image");
    for (struct image *i = q->list; i; i = i->next) {
        struct bp_err own = {0};
        if (t->image(inst, &i->call->spec, NULL, 0, &i->call->diff, &own) < 0)
            snprintf(i->error, sizeof i->error, "%s", own.text);
    }
    return 0;
}

static int run_set(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_fleet *t = table;
    const struct question *q = args;
    if (!BP_HAS(t, image))
        return err_set(err, BP_UNSUPPORTED, "the provider of the fleets makes instances from no image");
    if (!lead_term_holds(&q->term))
        return err_set(err, BP_STALE, "this controller leads no more, or could not renew its term in time");
    return t->image(inst, &q->list->call->spec, q->ami, q->force, &q->list->call->diff, err);
}

/* ---- the answer ---- */

static struct json_object *image_json(const struct image *i)
{
    struct bp_err bad = {0};
    struct json_object *o = i->call->diff ? json_parse(i->call->diff, strlen(i->call->diff), &bad) : NULL;
    struct json_object *out = json_object_new_object();
    json_put_str(out, "workflow", i->call->slug);
    if (json_object_is_type(o, json_type_object)) {
        json_object_object_foreach(o, key, v)
        {
            json_object_object_add(out, key, json_object_get(v));
        }
    } else {
        json_put_str(out, "error", i->error[0] ? i->error : "the provider's answer is not understood");
    }
    json_object_put(o);
    return out;
}

static void publish_set(const struct asker *a, struct json_object *o)
{
    const char *slug = json_str(o, "workflow", ""), *from = json_str(o, "before", ""), *to = json_str(o, "ami", "");
    if (!json_truth(o, "changed", 0))
        return;
    log_info(LOG_FLEET, "%s: new instances are made from %s, were from %s; by %s", slug, to, from[0] ? from : "none",
             a->who);
    bus_publish(a->fleets->bus, EVENT_FLEET_IMAGE, slug, from, to, a->who);
}

static void replied(void *args, const struct bp_err *err, void *arg)
{
    struct asker *a = arg;
    const struct question *q = args;
    struct json_object *answer = NULL;
    if (err->rc == 0 && q && a->setting) {
        answer = image_json(q->list);
        publish_set(a, answer);
    } else if (err->rc == 0 && q) {
        answer = json_object_new_array();
        for (const struct image *i = q->list; i; i = i->next)
            json_object_array_add(answer, image_json(i));
    }
    a->done(err, answer, a->arg);
    json_object_put(answer);
    a->fleets->acting -= a->setting;
    free(a);
}

/* ---- the question ---- */

struct walk {
    struct fleets *fleets;
    const char *slug; /* NULL: all */
    struct image **end;
};

static void add(const struct workflow *w, void *arg)
{
    struct walk *k = arg;
    if (k->slug && strcmp(k->slug, w->slug) != 0)
        return;
    struct image *i = calloc(1, sizeof *i);
    struct fleet_call *call = i ? fleet_call_new(k->fleets, w->slug, NULL) : NULL;
    if (!call) {
        free(i);
        return;
    }
    fleet_spec_fill(call, w, config_str(k->fleets->config, CONFIG_STAGE));
    i->call = call;
    *k->end = i;
    k->end = &i->next;
}

static void ask(struct question *q, const struct asker *who, request_run run)
{
    struct bp_err err = {0};
    struct asker *a = malloc(sizeof *a);
    if (!a) {
        question_free(q);
        err_set(&err, BP_NOMEM, "no memory");
        who->done(&err, NULL, who->arg);
        return;
    }
    *a = *who;
    a->fleets->acting += a->setting;
    struct request_spec spec = {.service = "fleet",
                                .name = "fleet.image",
                                .run = run,
                                .args = q,
                                .args_free = question_free,
                                .reply = replied,
                                .arg = a,
                                .timeout_ms = FLEET_CALL_MS};
    if (bus_request(a->fleets->bus, &spec, &err) < 0)
        replied(NULL, &err, a);
}

static struct question *question_new(struct fleets *f, const char *slug)
{
    struct question *q = calloc(1, sizeof *q);
    struct walk k = {f, slug, NULL};
    if (!q)
        return NULL;
    k.end = &q->list;
    host_each_workflow(f->host, add, &k);
    return q;
}

static void refuse(fleet_answer done, void *arg, struct question *q, struct bp_err *err)
{
    if (q)
        question_free(q);
    done(err, NULL, arg);
}

void fleet_images(struct fleets *f, const char *slug, fleet_answer done, void *arg)
{
    struct bp_err err = {0};
    struct question *q = question_new(f, slug);
    const struct asker who = {.fleets = f, .done = done, .arg = arg};
    if (q) {
        ask(q, &who, run_show);
        return;
    }
    err_set(&err, BP_NOMEM, "no memory");
    refuse(done, arg, q, &err);
}

void fleet_image_set(struct fleets *f, const struct image_wish *wish, fleet_answer done, void *arg)
{
    struct bp_err err = {0};
    struct question *q = question_new(f, wish->slug);
    struct asker who = {.fleets = f, .done = done, .arg = arg, .setting = 1};
    if (!q)
        err_set(&err, BP_NOMEM, "no memory");
    else if (!leads_now(&f->leads, &q->term))
        err_set(&err, BP_STALE, "another controller leads: bpctl controllers says which; give the command there");
    else if (!q->list)
        err_set(&err, BP_NOTFOUND, "no workflow %s", wish->slug);
    else if (strlen(wish->ami) >= sizeof q->ami)
        err_set(&err, BP_INVALID, "\"%.60s...\" is too long for an image's name", wish->ami);
    if (err.rc < 0) {
        refuse(done, arg, q, &err);
        return;
    }
    q->force = wish->force;
    snprintf(q->ami, sizeof q->ami, "%s", wish->ami);
    snprintf(who.who, sizeof who.who, "%s", wish->who);
    ask(q, &who, run_set);
}
