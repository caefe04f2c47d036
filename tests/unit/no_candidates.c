/* SPDX-License-Identifier: Apache-2.0 */
/* no_candidates.c - a double of the host's part for canaries, for tests without a host: there is no candidate. */
#include "host/host.h"
#include "log/err.h"

const struct candidate *host_candidate(struct host *h, const char *plugin)
{
    (void)h, (void)plugin;
    return NULL;
}

static void none(host_done done, void *arg)
{
    struct bp_err err = {0};
    err_set(&err, BP_NOTFOUND, "there are no candidates in this test");
    done(&err, arg);
}

void host_try(struct host *h, const char *plugin, const char *file, host_done done, void *arg)
{
    (void)h, (void)plugin, (void)file;
    none(done, arg);
}

void host_promote(struct host *h, const char *plugin, host_done done, void *arg)
{
    (void)h, (void)plugin;
    none(done, arg);
}

void host_candidate_drop(struct host *h, const char *plugin)
{
    (void)h, (void)plugin;
}

void host_default_candidate(struct host *h, const char *plugin, char *out, size_t n)
{
    (void)h;
    snprintf(out, n, "%s.canary.so", plugin);
}

void host_kept_candidate(const struct host *h, const char *plugin, char *out, size_t n)
{
    (void)h;
    snprintf(out, n, "canary/%s.so", plugin);
}

const char *host_state_path(const struct host *h)
{
    (void)h;
    return ".";
}
