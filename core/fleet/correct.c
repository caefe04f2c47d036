/* SPDX-License-Identifier: Apache-2.0 */
/* correct.c - fleets held against their workflows because somebody asked: what differs, and corrected where wished. */
#include "fleet_priv.h"

#include "log/err.h"
#include "log/json.h"
#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EACH_MS 3000 /* beside FLEET_CALL_MS: a fleet takes a few calls to its cloud */

struct one {
    struct one *next;
    struct fleet_call *call; /* its spec and, once asked, its diff */
    struct bp_err err;
};

/* The provider's until it is done. */
struct question {
    struct one *list;
    uint32_t n;
    int dry_run;
    struct lead_term term;
};

struct asker {
    struct fleets *fleets;
    fleet_answer done;
    void *arg;
    int acting;
};

static void question_free(void *arg)
{
    struct question *q = arg;
    while (q->list) {
        struct one *o = q->list;
        q->list = o->next;
        free(o->call->diff);
        free(o->call);
        free(o);
    }
    free(q);
}

/* On the provider's thread. One that cannot be corrected keeps no other from it. */
static int run_each(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_fleet *t = table;
    const struct question *q = args;
    for (struct one *o = q->list; o; o = o->next) {
        if (!q->dry_run && !lead_term_holds(&q->term))
            return err_set(err, BP_STALE, "this controller leads no more, or could not renew its term in time");
        o->err.rc = t->ensure(inst, &o->call->spec, q->dry_run, &o->call->diff, &o->err);
    }
    return 0;
}

/* ---- the answer ---- */

static void add_row(struct json_object *rows, const struct one *o, const char *state, const char *text)
{
    struct json_object *row = json_object_new_object();
    json_put_str(row, "workflow", o->call->slug);
    json_put_str(row, "state", state);
    json_put_str(row, "text", text);
    json_object_array_add(rows, row);
}

static void add_rows(struct json_object *rows, const struct one *o, int dry_run)
{
    struct bp_err bad = {0};
    struct json_object *diff = o->call->diff ? json_parse(o->call->diff, strlen(o->call->diff), &bad) : NULL;
    size_t n = json_object_is_type(diff, json_type_array) ? json_object_array_length(diff) : 0;
    if (o->err.rc < 0)
        add_row(rows, o, "failed", o->err.text);
    else if (n == 0)
        add_row(rows, o, "right", "it is as its workflow wants it");
    for (size_t k = 0; k < n && o->err.rc == 0; k++)
        add_row(rows, o, dry_run ? "differs" : "corrected", json_object_get_string(json_object_array_get_idx(diff, k)));
    json_object_put(diff);
}

static void replied(void *args, const struct bp_err *err, void *arg)
{
    struct asker *a = arg;
    const struct question *q = args;
    struct json_object *rows = NULL;
    if (err->rc == 0 && q) {
        rows = json_object_new_array();
        for (const struct one *o = q->list; o; o = o->next) {
            struct fleet *fl = fleet_find(a->fleets, o->call->slug);
            add_rows(rows, o, q->dry_run);
            if (fl && o->err.rc == 0 && !q->dry_run)
                fl->ensure_rest_ms = 0; /* what kept it from being made is over: the next look takes it up */
        }
    }
    a->done(err, rows, a->arg);
    json_object_put(rows);
    a->fleets->acting -= a->acting;
    fleets_poke(a->fleets);
    free(a);
}

/* ---- the question ---- */

struct walk {
    struct fleets *fleets;
    struct question *q;
    const char *slug; /* NULL: all */
    struct one **end;
};

static void add(const struct workflow *w, void *arg)
{
    struct walk *k = arg;
    if (k->slug && strcmp(k->slug, w->slug) != 0)
        return;
    struct one *o = calloc(1, sizeof *o);
    struct fleet_call *call = o ? fleet_call_new(k->fleets, w->slug, NULL) : NULL;
    if (!call) {
        free(o);
        return;
    }
    fleet_spec_fill(call, w, config_str(k->fleets->config, CONFIG_STAGE));
    o->call = call;
    *k->end = o;
    k->end = &o->next;
    k->q->n++;
}

static void ask(struct asker *a, struct question *q)
{
    struct bp_err err = {0};
    struct request_spec spec = {.service = "fleet",
                                .name = "fleet.correct",
                                .run = run_each,
                                .args = q,
                                .args_free = question_free,
                                .reply = replied,
                                .arg = a,
                                .timeout_ms = FLEET_CALL_MS + (int64_t)q->n * EACH_MS};
    a->fleets->acting += a->acting;
    if (bus_request(a->fleets->bus, &spec, &err) < 0)
        replied(NULL, &err, a);
}

void fleet_correct(struct fleets *f, const char *slug, int dry_run, fleet_answer done, void *arg)
{
    struct bp_err err = {0};
    struct question *q = calloc(1, sizeof *q);
    struct asker *a = calloc(1, sizeof *a);
    if (!q || !a) {
        free(q);
        free(a);
        err_set(&err, BP_NOMEM, "no memory");
        done(&err, NULL, arg);
        return;
    }
    struct walk k = {f, q, slug, &q->list};
    *a = (struct asker){.fleets = f, .done = done, .arg = arg, .acting = !dry_run};
    q->dry_run = dry_run;
    host_each_workflow(f->host, add, &k);
    if (!dry_run && !leads_now(&f->leads, &q->term)) {
        err_set(&err, BP_STALE, "another controller leads: bpctl controllers says which; give the command there");
        done(&err, NULL, arg);
        question_free(q);
        free(a);
        return;
    }
    ask(a, q);
}
