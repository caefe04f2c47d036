/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet_priv.h"

#include "log/hash.h"
#include "log/json.h"
#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REST_MS     1000 /* after an ensure that failed; doubles */
#define REST_MAX_MS 60000
#define AT_ONCE     4 /* a cloud that hangs keeps so many of its plugin's threads, and leaves the others to jobs */

/* On the provider's thread. */
static int run_ensure(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_fleet *t = table;
    struct fleet_call *c = args;
    return t->ensure(inst, &c->spec, c->number, &c->diff, err);
}

static void ensured(void *args, const struct bp_err *err, void *arg)
{
    struct fleets *f = arg;
    const struct fleet_call *c = args;
    struct fleet *fl = fleet_find(f, c->slug);
    f->ensuring--;
    fleets_poke(f); /* the next one */
    if (!fl)
        return;
    fl->ensuring = 0;
    if (err->rc < 0) {
        if (strcmp(fl->unmade, err->text) != 0) {
            log_warn(LOG_FLEET, "%s: the fleet cannot be made as its workflow wants it: %s", fl->slug, err->text);
            bus_publish(f->bus, EVENT_FLEET_UNMADE, fl->slug, err->text);
        }
        snprintf(fl->error, sizeof fl->error, "%s", err->text);
        snprintf(fl->unmade, sizeof fl->unmade, "%s", err->text);
        fl->ensured_as = 0;
        fl->ensure_rest_ms = fl->ensure_rest_ms ? fl->ensure_rest_ms * 2 : REST_MS;
        fl->ensure_rest_ms = fl->ensure_rest_ms < REST_MAX_MS ? fl->ensure_rest_ms : REST_MAX_MS;
        fl->ensure_after_ms = mono_ms() + fl->ensure_rest_ms;
        return;
    }
    fl->ensured = 1;
    fl->ensured_dry = c->number;
    fl->ensure_rest_ms = 0;
    fl->unmade[0] = 0;
    if (c->diff && strcmp(c->diff, "[]") != 0)
        log_info(LOG_FLEET, "%s: fleet %s: %s", fl->slug,
                 c->number ? "left as it is (scale.dryRun), it would be made or corrected" : "made or corrected",
                 c->diff);
}

void fleet_spec_fill(struct fleet_call *c, const struct workflow *w, const char *stage)
{
    struct json_object *types = json_member(w->manifest, "instanceTypes");
    const char *image = w->ami_id ? w->ami_id : w->ami_parameter;
    snprintf(c->text, sizeof c->text, "%s", types ? json_text(types) : "[]");
    snprintf(c->text2, sizeof c->text2, "%s", image ? image : "");
    snprintf(c->instance, sizeof c->instance, "%s", stage);
    c->spec = (struct bp_fleet_spec){.size = sizeof c->spec,
                                     .max_size = w->max_size,
                                     .warmup_s = w->warmup_s,
                                     .slug = c->slug,
                                     .stage = c->instance,
                                     .ami_id = w->ami_id ? c->text2 : NULL,
                                     .ami_parameter = !w->ami_id && w->ami_parameter ? c->text2 : NULL,
                                     .instance_types = c->text};
}

/* What of a workflow makes its fleet as it is; never 0, which is no spec. */
static uint64_t spec_hash(const struct fleet_call *c, const struct workflow *w)
{
    char numbers[96];
    snprintf(numbers, sizeof numbers, "%u %d %d %d ", w->generation, c->spec.max_size, c->spec.warmup_s, c->number);
    return hash_text(hash_text(hash_text(HASH_START, numbers), c->text), c->text2) | 1;
}

void ensure_fleet(struct fleets *f, struct fleet *fl, const struct workflow *w)
{
    if (fl->ensuring || f->ensuring >= AT_ONCE)
        return;
    struct fleet_call *c = fleet_call_new(f, w->slug, NULL);
    if (!c)
        return;
    fleet_spec_fill(c, w, config_str(f->config, CONFIG_STAGE));
    c->number = config_bool(f->config, CONFIG_SCALE_DRY_RUN);
    uint64_t as = spec_hash(c, w);
    int rests = fl->ensure_rest_ms && fl->ensure_tried == as && mono_ms() < fl->ensure_after_ms;
    if (rests || (fl->ensured && fl->ensured_as == as)) {
        free(c);
        return;
    }
    fl->ensured_as = fl->ensure_tried = as;
    fl->ensuring = 1;
    f->ensuring++;
    fleet_call_send(c, "fleet.ensure", run_ensure, ensured);
}
