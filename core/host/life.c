/* SPDX-License-Identifier: Apache-2.0 */
#include "host/state.h"
#include "log/log.h"
#include <stdlib.h>
#include <string.h>

#define HISTORY_MAX 50

/* A row for each state: its word, and how loud its arrow is. */
static const struct {
    const char *name;
    int level;
} states[] = {
    [0] = {"", BP_LOG_DEBUG},
    [FOUND] = {"found", BP_LOG_DEBUG},
    [VETTED] = {"vetted", BP_LOG_DEBUG},
    [LOADED] = {"loaded", BP_LOG_DEBUG},
    [READY] = {"ready", BP_LOG_DEBUG},
    [RUNNING] = {"running", BP_LOG_INFO},
    [DRAINING] = {"draining", BP_LOG_INFO},
    [RETIRED] = {"retired", BP_LOG_INFO},
    [REFUSED] = {"refused", BP_LOG_WARN},
    [QUARANTINED] = {"quarantined", BP_LOG_ERROR},
};

const char *state_name(enum state s)
{
    return states[s].name;
}

static void remember(struct host *h, const struct arrow *a)
{
    struct plugin *p = plugin_find(h, a->name);
    if (!p)
        return;
    p->state = a->to;
    struct json_object *line = json_object_new_object();
    json_put_int(line, "at_ms", loop_now_ms(h->loop));
    json_put_int(line, "generation", a->number);
    json_put_str(line, "from", state_name(a->from));
    json_put_str(line, "to", state_name(a->to));
    json_put_str(line, "reason", a->reason);
    json_object_array_add(p->history, line);
    if (json_object_array_length(p->history) > HISTORY_MAX)
        json_object_array_del_idx(p->history, 0, 1);
}

void arrow_tell(struct host *h, const struct arrow *a)
{
    const char *reason = a->reason ? a->reason : "";
    log_write(LOG_HOST, states[a->to].level, "%s %u: %s%s%s", a->name, a->number, state_name(a->to),
              *reason ? ": " : "", reason);
    remember(h, a);
    bus_publish(h->bus, EVENT_PLUGIN_STATE, a->name, a->kind ? a->kind : "", (int64_t)a->number, state_name(a->from),
                state_name(a->to), reason);
}

void generation_move(struct generation *g, enum state to, const char *reason)
{
    struct arrow a = {g->plugin->name, kind_name(g->manifest->kind), reason, g->number, g->state, to};
    assert(g->magic == GENERATION_MAGIC);
    char *kept = reason ? strdup(reason) : NULL;
    free(g->reason);
    g->reason = kept;
    a.reason = kept;
    g->state = to;
    g->since_ms = loop_now_ms(g->host->loop);
    arrow_tell(g->host, &a);
}
