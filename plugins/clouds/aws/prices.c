/* SPDX-License-Identifier: Apache-2.0 */
#include "prices.h"

#include "client.h"
#include "err.h"
#include "form.h"
#include "groups.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOOD_MS    300000 /* what was told is good for so long, and after a failure nobody is asked again before */
#define TYPES_MOST 32     /* of one fleet */
#define KEPT       256    /* types by zones */

struct quote {
    char type[32], zone[32];
    double usd;
    int64_t at_ms;
};

struct asked {
    char type[32];
    int64_t ms;
};

struct prices {
    struct fleets *f;
    pthread_mutex_t mutex; /* not held during a call */
    struct quote quotes[KEPT];
    struct asked asked[KEPT];
    uint32_t n_quotes, n_asked;
    int refused; /* the last question failed, which was logged */
};

struct prices *prices_open(struct fleets *f, struct bp_err *err)
{
    struct prices *p = calloc(1, sizeof *p);
    if (!p) {
        err_set(err, BP_NOMEM, "no memory for Spot prices");
        return NULL;
    }
    p->f = f;
    pthread_mutex_init(&p->mutex, NULL);
    return p;
}

void prices_close(struct prices *p)
{
    if (!p)
        return;
    pthread_mutex_destroy(&p->mutex);
    free(p);
}

/* ---- whether to ask ---- */

static struct asked *asked_of(struct prices *p, const char *type)
{
    for (uint32_t i = 0; i < p->n_asked; i++)
        if (strcmp(p->asked[i].type, type) == 0)
            return &p->asked[i];
    if (p->n_asked == KEPT)
        return NULL;
    struct asked *a = &p->asked[p->n_asked++];
    snprintf(a->type, sizeof a->type, "%s", type);
    a->ms = 0;
    return a;
}

static const char *type_at(struct json_object *types, size_t i)
{
    const char *type = json_object_get_string(json_object_array_get_idx(types, i));
    return type && type[0] && strlen(type) < sizeof((struct quote *)0)->type ? type : NULL;
}

static size_t n_types(struct json_object *types)
{
    size_t n = json_object_is_type(types, json_type_array) ? json_object_array_length(types) : 0;
    return n < TYPES_MOST ? n : TYPES_MOST;
}

/* 1: one of them was not asked about for too long; all count as asked about now. */
static int is_due(struct prices *p, struct json_object *types, int64_t now)
{
    int due = 0;
    for (size_t i = 0; i < n_types(types); i++) {
        struct asked *a = type_at(types, i) ? asked_of(p, type_at(types, i)) : NULL;
        due |= a && (a->ms == 0 || now - a->ms >= GOOD_MS || now < a->ms);
    }
    for (size_t i = 0; due && i < n_types(types); i++) {
        struct asked *a = type_at(types, i) ? asked_of(p, type_at(types, i)) : NULL;
        if (a)
            a->ms = now;
    }
    return due;
}

/* ---- asking ---- */

static struct quote *quote_of(struct prices *p, const char *type, const char *zone)
{
    for (uint32_t i = 0; i < p->n_quotes; i++)
        if (strcmp(p->quotes[i].type, type) == 0 && strcmp(p->quotes[i].zone, zone) == 0)
            return &p->quotes[i];
    if (p->n_quotes == KEPT)
        return NULL;
    struct quote *q = &p->quotes[p->n_quotes++];
    *q = (struct quote){0};
    snprintf(q->type, sizeof q->type, "%s", type);
    snprintf(q->zone, sizeof q->zone, "%s", zone);
    return q;
}

/* EC2 tells the past of a price too: the newest counts. */
static void learn(struct prices *p, const struct xml *x)
{
    const char *type = xml_text(x, "instanceType"), *zone = xml_text(x, "availabilityZone");
    double usd = strtod(xml_text(x, "spotPrice"), NULL);
    int64_t at_ms = xml_time_ms(x, "timestamp");
    struct quote *q = NULL;
    if (usd > 0 && strlen(type) < sizeof q->type && strlen(zone) < sizeof q->zone)
        q = quote_of(p, type, zone);
    if (!q || at_ms < q->at_ms)
        return;
    q->usd = usd;
    q->at_ms = at_ms;
}

static struct form *question(struct json_object *types, int64_t now)
{
    struct form *form = form_new();
    uint32_t n = 0;
    for (size_t i = 0; form && i < n_types(types); i++)
        if (type_at(types, i))
            form_put(form, type_at(types, i), "InstanceType.%u", ++n);
    if (!form)
        return NULL;
    form_put(form, "Linux/UNIX", "ProductDescription.1");
    form_put_time(form, now, "StartTime"); /* of now: the prices in force */
    return form;
}

static void tell_failure(struct prices *p, int rc, const struct bp_err *err)
{
    pthread_mutex_lock(&p->mutex);
    int first = rc < 0 && !p->refused;
    p->refused = rc < 0;
    pthread_mutex_unlock(&p->mutex);
    if (first)
        AWS_LOG(p->f->aws, BP_LOG_WARN, "Spot prices are not known, the setting prices is used instead: %s", err->text);
}

static void ask(struct prices *p, struct json_object *types, int64_t now)
{
    struct bp_err err = {0};
    struct reply r = {0};
    struct form *form = question(types, now);
    if (!form)
        return;
    int rc = client_query(p->f->aws->client, AWS_OP_EC2_DESCRIBE_SPOT_PRICE_HISTORY, form, "Spot prices", &r, &err);
    form_free(form);
    tell_failure(p, rc, &err);
    pthread_mutex_lock(&p->mutex);
    for (const struct xml *x = rc == 0 ? xml_first(r.xml, "spotPriceHistorySet/item") : NULL; x; x = xml_next(x))
        learn(p, x);
    pthread_mutex_unlock(&p->mutex);
    reply_free(&r);
}

/* ---- telling ---- */

static int is_among(struct json_object *types, const char *type)
{
    for (size_t i = 0; i < n_types(types); i++)
        if (type_at(types, i) && strcmp(type_at(types, i), type) == 0)
            return 1;
    return 0;
}

static struct json_object *quote_json(const struct quote *q)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "type", json_object_new_string(q->type));
    json_object_object_add(o, "zone", json_object_new_string(q->zone));
    char usd[40];
    snprintf(usd, sizeof usd, "%.9g", q->usd);
    json_object_object_add(o, "usd", json_object_new_double_s(q->usd, usd));
    json_object_object_add(o, "at_ms", json_object_new_int64(q->at_ms));
    return o;
}

static struct json_object *quotes_json(struct prices *p, struct json_object *types)
{
    struct json_object *list = json_object_new_array();
    pthread_mutex_lock(&p->mutex);
    for (uint32_t i = 0; i < p->n_quotes; i++)
        if (p->quotes[i].usd > 0 && is_among(types, p->quotes[i].type))
            json_object_array_add(list, quote_json(&p->quotes[i]));
    pthread_mutex_unlock(&p->mutex);
    return list;
}

int32_t fleet_prices(void *inst, const struct bp_fleet_spec *spec, char **out, struct bp_err *err)
{
    struct aws *aws = inst;
    struct prices *p = aws->fleets->prices;
    struct json_object *types = json_tokener_parse(spec->instance_types);
    int64_t now = AWS_NOW(aws);
    *out = NULL;
    pthread_mutex_lock(&p->mutex);
    int due = is_due(p, types, now);
    pthread_mutex_unlock(&p->mutex);
    if (due)
        ask(p, types, now);
    struct json_object *list = quotes_json(p, types);
    int none = json_object_array_length(list) == 0;
    if (!none)
        *out = aws_text(aws, json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN));
    json_object_put(list);
    json_object_put(types);
    return none || *out ? 0 : err_set(err, BP_NOMEM, "no memory for the prices of %.120s", spec->slug);
}
