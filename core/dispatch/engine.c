/* SPDX-License-Identifier: Apache-2.0 */
/* engine.c - the engine as a whole: made, configured, started, drained, freed. */
#include "dispatch/engine.h"

#include "dispatch/auth.h"
#include "dispatch/bridge.h"
#include "dispatch/canary.h"
#include "dispatch/held.h"
#include "dispatch/lacking.h"
#include "dispatch/leader.h"
#include "dispatch/poll.h"
#include "dispatch/prune.h"
#include "dispatch/spent.h"
#include "dispatch/stats.h"
#include "dispatch/sweep.h"
#include "dispatch/tenants.h"
#include "dispatch/watch.h"
#include "dispatch/webhook.h"
#include "dispatch/webhook_sign.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define MAGIC 0xd15ba7c4U

void dispatch_ref(struct dispatch *d)
{
    d->refs++;
}

void dispatch_unref(struct dispatch *d)
{
    assert(d->magic == MAGIC && d->refs > 0);
    if (--d->refs > 0)
        return;
    d->magic = 0;
    free(d);
}

int64_t dispatch_now(const struct dispatch *d)
{
    return loop_now_ms(d->loop);
}

static int64_t seconds_ms(const struct config *c, enum config_key key)
{
    return (int64_t)(config_num(c, key) * 1000.0);
}

void dispatch_reconfigure(struct dispatch *d, const struct config *c)
{
    struct dispatch_settings *s = &d->set;
    d->config = c;
    s->ttl_ms = seconds_ms(c, CONFIG_DISPATCH_LEASE_TTL_S);
    s->retry_base_ms = seconds_ms(c, CONFIG_DISPATCH_RETRY_BASE_S);
    s->retry_cap_ms = seconds_ms(c, CONFIG_DISPATCH_RETRY_CAP_S);
    s->sweep_ms = config_int(c, CONFIG_DISPATCH_SWEEP_MS);
    s->retention_ms = (int64_t)(config_num(c, CONFIG_DISPATCH_RETENTION_DAYS) * 86400000.0);
    s->audit_ms = (int64_t)(config_num(c, CONFIG_DISPATCH_AUDIT_DAYS) * 86400000.0);
    s->stale_ms = config_int(c, CONFIG_WORKERS_STALE_S) * 1000;
    s->lead_ms = seconds_ms(c, CONFIG_CLUSTER_LEASE_S);
    s->watch_ms = config_int(c, CONFIG_CLUSTER_WATCH_MS);
    s->at_risk_ms = seconds_ms(c, CONFIG_DISPATCH_AT_RISK_S);
    s->max_upload = config_int(c, CONFIG_HTTP_MAX_UPLOAD);
    s->max_attempts = (int32_t)config_int(c, CONFIG_DISPATCH_MAX_ATTEMPTS);
    s->max_requeues = (int32_t)config_int(c, CONFIG_DISPATCH_MAX_REQUEUES);
    s->url_ttl_s = (int32_t)config_int(c, CONFIG_DISPATCH_URL_TTL_S);
    s->max_fleet = (int32_t)config_int(c, CONFIG_WORKERS_MAX_FLEET);
    s->max_batch = (int32_t)config_int(c, CONFIG_DISPATCH_MAX_BATCH);
    s->fair = config_bool(c, CONFIG_DISPATCH_FAIR_SHARE);
    snprintf(s->stage, sizeof s->stage, "%s", config_str(c, CONFIG_STAGE));
    if (d->started)
        tenant_settings_store(d);
    if (d->webhooks)
        webhooks_reconfigure(d->webhooks, c);
}

struct dispatch *dispatch_new(struct bus *b, struct host *h, const struct config *c)
{
    struct dispatch *d = calloc(1, sizeof *d);
    assert(d);
    d->magic = MAGIC;
    d->refs = 1;
    d->bus = b;
    d->loop = bus_loop(b);
    d->host = h;
    dispatch_reconfigure(d, c);
    d->lanes = lanes_new();
    d->held = held_table_new();
    d->polls = polls_new(d);
    d->auth = auth_cache_new(d);
    d->tenants = tenant_auth_new();
    d->pruner = pruner_new(d);
    d->spent = spent_new(d);
    d->sweeper = sweeper_new(d);
    d->stats = stats_new();
    d->webhooks = webhooks_new(d);
    d->leader = leader_new(d);
    d->watcher = watcher_new(d);
    d->bridge = bridge_new(d);
    d->canaries = canaries_new(d);
    d->lacking = lacking_new();
    return d;
}

void dispatch_free(struct dispatch *d)
{
    if (!d)
        return;
    ASSERT_LOOP(d->loop);
    d->dead = 1;
    polls_free(d->polls);
    stats_free(d->stats);
    webhooks_free(d->webhooks);
    bridge_free(d->bridge);
    canaries_free(d->canaries);
    lacking_free(d->lacking);
    watcher_free(d->watcher);
    leader_free(d->leader);
    auth_cache_free(d->auth);
    tenant_auth_free(d->tenants);
    pruner_free(d->pruner);
    spent_free(d->spent);
    sweeper_free(d->sweeper);
    held_table_free(d->held);
    lanes_free(d->lanes);
    dispatch_unref(d);
}

void dispatch_start(struct dispatch *d)
{
    ASSERT_LOOP(d->loop);
    d->draining = 0;
    d->started = 1;
    sweeper_start(d->sweeper);
    tenant_settings_store(d);
    webhooks_start(d->webhooks);
    tenant_limits_look(d);
    leader_start(d->leader);
    canaries_start(d->canaries);
}

void dispatch_drain(struct dispatch *d)
{
    ASSERT_LOOP(d->loop);
    d->draining = 1;
    polls_dismiss(d, NULL, "No jobs available");
}

void dispatch_webhook_secret(struct dispatch *d, const char *secret)
{
    ASSERT_LOOP(d->loop);
    webhooks_secret(d->webhooks, secret);
}

int dispatch_webhook_key(const struct dispatch *d, const char *tenant, int32_t version, char out[WEBHOOK_KEY_TEXT_SIZE])
{
    struct webhook_key key;
    const char *secret = webhooks_secret_now(d->webhooks);
    if (!secret[0])
        return BP_NOTFOUND;
    webhook_key_derive(secret, tenant, version, &key);
    webhook_key_text(&key, out);
    webhook_key_wipe(&key);
    return BP_OK;
}

void dispatch_counters(const struct dispatch *d, struct dispatch_counters *out)
{
    *out = d->counters;
}

void dispatch_set_lives(struct dispatch *d, dispatch_lives life_s, void *arg)
{
    d->life_s = life_s;
    d->life_arg = arg;
}
