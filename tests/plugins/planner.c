/* SPDX-License-Identifier: Apache-2.0 */
/*
 * planner.c - a workflow whose scaling policy does wrong where it is told to: its setting "plan" is one of "good",
 * "many" (more than maxSize), "few" (less than what is busy), "slow" (computes for 20 ms), "waits" (does nothing for 20
 * ms), "never" (does not return).
 */
#include <bp/job.h>
#include <bp/scaling.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct planner {
    char how[16];
};

static int32_t start(struct bp_self *self, const struct bp_host *host, void **inst, struct bp_err *err)
{
    static const char *const ways[] = {"many", "few", "slow", "waits", "never"};
    struct planner *p = calloc(1, sizeof *p);
    const char *settings = host->config(self);
    (void)err;
    for (size_t k = 0; p && settings && k < sizeof ways / sizeof ways[0]; k++) {
        const char *at = strstr(settings, ways[k]);
        if (at && at[-1] == '"' && at[strlen(ways[k])] == '"')
            strcpy(p->how, ways[k]);
    }
    *inst = p;
    return p ? BP_OK : BP_NOMEM;
}

static void stop(void *inst)
{
    free(inst);
}

static int32_t plan(void *inst, const struct bp_view *v, void *memory, struct bp_plan *out, struct bp_err *err)
{
    const struct planner *p = inst;
    int64_t depth = v->queued + v->leased;
    (void)memory;
    (void)err;
    strcpy(out->reason, "the plugin's own");
    out->desired = depth < v->max_size ? (int32_t)depth : v->max_size;
    if (strcmp(p->how, "many") == 0)
        out->desired = v->max_size + 5;
    if (strcmp(p->how, "few") == 0 && v->busy > 0)
        out->desired = 0;
    while (strcmp(p->how, "never") == 0)
        pause();
    if (strcmp(p->how, "waits") == 0)
        usleep(20000);
    for (clock_t began = clock(); strcmp(p->how, "slow") == 0 && clock() - began < 20000;)
        continue; /* CLOCKS_PER_SEC is a million */
    return BP_OK;
}

static const struct bp_scaling scaling = {.size = sizeof scaling, .plan = plan};

static const void *facet(void *inst, const char *id)
{
    (void)inst;
    return strcmp(id, BP_SCALING_FACET) == 0 ? &scaling : NULL;
}

BP_EXPORT extern const struct bp_plugin bp_plugin_v1;
const struct bp_plugin bp_plugin_v1 = {.size = sizeof bp_plugin_v1,
                                       .abi = BP_ABI_VERSION,
                                       .name = "planner",
                                       .start = start,
                                       .stop = stop,
                                       .facet = facet};
