/* SPDX-License-Identifier: Apache-2.0 */
#include "provider.h"

#include <stdatomic.h>
#include <string.h>

struct config *provider_config(const char *const *sets)
{
    struct bp_err err = {0};
    struct config_sources src = {.sets = sets};
    while (sets && sets[src.n_sets])
        src.n_sets++;
    struct config *c = config_load(&src, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

void provider_open(struct provider *p, const char *const *sets)
{
    memset(p, 0, sizeof *p);
    p->config = provider_config(sets);
    p->loop = loop_new();
    p->bus = bus_new(p->loop);
}

void provider_serve(struct provider *p, const char *service, const void *table, void *inst)
{
    struct bp_err err = {0};
    struct actor_spec spec = {.name = service, .threads = 1, .batch_max = 1, .capacity = 64};
    p->actor = actor_new(p->bus, &spec, &err);
    assert_non_null(p->actor);
    bus_route(p->bus, service, p->actor, table, inst);
}

static void stop(void *arg)
{
    loop_stop(arg);
}

void provider_turn(struct provider *p, int64_t ms)
{
    struct loop_timer *t = loop_timer_new(p->loop, "test.turn", stop, p->loop);
    loop_timer_after(t, ms);
    loop_run(p->loop);
    loop_timer_free(t);
}

void provider_until(struct provider *p, const _Atomic int *number, int n)
{
    int64_t until = mono_ms() + 20000;
    while (atomic_load(number) < n) {
        if (mono_ms() > until)
            fail_msg("waited 20 s in vain for %d, got %d", n, atomic_load(number));
        provider_turn(p, 2);
    }
}

static void drained(struct actor *a, void *arg)
{
    (void)a;
    ++*(int *)arg;
}

void provider_quiet(struct provider *p)
{
    int n = 0, turns = 0;
    if (!p->actor)
        return;
    actor_drain(p->actor, drained, &n);
    while (n < 1) {
        assert_in_range(++turns, 1, 10000);
        provider_turn(p, 2);
    }
    provider_turn(p, 2); /* what was posted is run */
    actor_free(p->actor);
    p->actor = NULL;
}

void provider_close(struct provider *p)
{
    bus_free(p->bus);
    loop_free(p->loop);
    config_free(p->config);
}
