/* SPDX-License-Identifier: Apache-2.0 */
/* machines.c - what a group's description lacks and EC2 knows: launch time, Spot or not, and interruption notices. */
#include "client.h"
#include "err.h"
#include "form.h"
#include "groups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASKED_AT_ONCE 200   /* values of one filter */
#define NOTICES_MS    20000 /* notices come two minutes ahead, and each worker watches for its own */
#define AGAIN_MS      30000 /* EC2 may know an instance a little later than its group does */

struct machines {
    struct fleets *f;
    uint32_t n;
    char ids[ASKED_AT_ONCE][64];
    const struct xml *about; /* one machine, or one Spot request */
    int spots;
};

/* ---- new ones ---- */

static void collect(struct group *g, void *arg)
{
    struct machines *m = arg;
    int64_t now = AWS_NOW(m->f->aws);
    for (uint32_t k = 0; k < g->n && m->n < ASKED_AT_ONCE; k++) {
        struct member *i = &g->members[k];
        int live = i->pub.state == BP_INSTANCE_PENDING || i->pub.state == BP_INSTANCE_RUNNING;
        if (!live || i->machine_known || (i->machine_ms && now - i->machine_ms < AGAIN_MS))
            continue;
        i->machine_ms = now;
        snprintf(m->ids[m->n++], sizeof m->ids[0], "%s", i->pub.id);
    }
}

static void learn(struct group *g, void *arg)
{
    const struct machines *m = arg;
    struct member *i = group_instance(g, xml_text(m->about, "instanceId"));
    if (!i)
        return;
    int64_t launched_ms = xml_time_ms(m->about, "launchTime");
    i->machine_known = 1;
    i->pub.spot = strcmp(xml_text(m->about, "instanceLifecycle"), "spot") == 0;
    if (launched_ms)
        i->pub.launched_ms = launched_ms;
    if (i->pub.running_ms && i->pub.running_ms < i->pub.launched_ms)
        i->pub.running_ms = i->pub.launched_ms;
    if (!i->pub.type[0])
        snprintf(i->pub.type, sizeof i->pub.type, "%s", xml_text(m->about, "instanceType"));
}

static int ask_about(struct machines *m, enum aws_op op, const struct form *form, const char *what, struct reply *r)
{
    struct bp_err err = {0};
    unsigned bit = op == AWS_OP_EC2_DESCRIBE_INSTANCES ? 1 : 2, told = m->f->told & bit;
    int rc = client_query(m->f->aws->client, op, form, what, r, &err);
    if (rc < 0 && !told)
        AWS_LOG(m->f->aws, BP_LOG_WARN, "fleets are described without it: %s", err.text);
    m->f->told = rc < 0 ? m->f->told | bit : m->f->told & ~bit;
    return rc;
}

void machines_ask(struct fleets *f)
{
    struct reply r = {0};
    struct machines *m = calloc(1, sizeof *m);
    struct form *form = m ? form_new() : NULL;
    if (!form) {
        free(m);
        return;
    }
    m->f = f;
    groups_lock(f->groups);
    groups_each(f->groups, collect, m);
    groups_unlock(f->groups);
    form_put(form, "instance-id", "Filter.1.Name"); /* a filter: an id that EC2 does not know yet is no error */
    for (uint32_t k = 0; k < m->n; k++)
        form_put(form, m->ids[k], "Filter.1.Value.%u", k + 1);
    if (m->n && ask_about(m, AWS_OP_EC2_DESCRIBE_INSTANCES, form, "new instances", &r) == 0) {
        groups_lock(f->groups);
        for (const struct xml *a = xml_first(r.xml, "reservationSet/item"); a; a = xml_next(a))
            for (m->about = xml_first(a, "instancesSet/item"); m->about; m->about = xml_next(m->about))
                groups_each(f->groups, learn, m);
        groups_unlock(f->groups);
    }
    reply_free(&r);
    form_free(form);
    free(m);
}

/* ---- notices ---- */

static void count_spots(struct group *g, void *arg)
{
    struct machines *m = arg;
    for (uint32_t k = 0; k < g->n; k++)
        m->spots += g->members[k].pub.spot && g->members[k].pub.state == BP_INSTANCE_RUNNING;
}

static void mark(struct group *g, void *arg)
{
    const struct machines *m = arg;
    struct member *i = group_instance(g, xml_text(m->about, "instanceId"));
    if (i)
        i->pub.interrupting = 1;
}

int machines_ask_notices(struct fleets *f)
{
    struct machines m = {.f = f};
    struct reply r = {0};
    int64_t now = AWS_NOW(f->aws), age = now - f->notices_ms;
    if (f->notices_ms && age >= 0 && age < NOTICES_MS)
        return 0;
    groups_lock(f->groups);
    groups_each(f->groups, count_spots, &m);
    groups_unlock(f->groups);
    struct form *form = m.spots ? form_new() : NULL;
    if (!form)
        return 0;
    f->notices_ms = now;
    form_put(form, "status-code", "Filter.1.Name");
    form_put(form, "marked-for-termination", "Filter.1.Value.1");
    form_put(form, "marked-for-stop", "Filter.1.Value.2");
    if (ask_about(&m, AWS_OP_EC2_DESCRIBE_SPOT_INSTANCE_REQUESTS, form, "interruption notices", &r) == 0) {
        groups_lock(f->groups);
        for (m.about = xml_first(r.xml, "spotInstanceRequestSet/item"); m.about; m.about = xml_next(m.about))
            groups_each(f->groups, mark, &m);
        groups_unlock(f->groups);
    }
    reply_free(&r);
    form_free(form);
    return 1;
}
