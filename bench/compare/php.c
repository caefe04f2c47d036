/* SPDX-License-Identifier: Apache-2.0 */
/* A PHP backend speaks the same worker protocol as bpd, without its additions: no batches, and no poll waits. */
#include "peers.h"

#include "dispatch/bench.h"

static void submit(struct run *r, int64_t first, struct buffer *out)
{
    PEER_BPD.submit(r, first, out);
}

static void lease(const struct worker *w, struct buffer *out)
{
    PEER_BPD.lease(w, out);
}

static void complete(const struct worker *w, const struct item *items, int n, struct buffer *out)
{
    PEER_BPD.complete(w, items, n, out);
}

static long read_answer(const struct request *q, char *bytes, size_t n, struct answer *a)
{
    return PEER_BPD.read(q, bytes, n, a);
}

const struct peer PEER_PHP = {
    .name = "php",
    .scheme = "http",
    .port = "80",
    .secrets = true,
    .join = workers_register,
    .leave = workers_deregister,
    .submit = submit,
    .lease = lease,
    .complete = complete,
    .read = read_answer,
};
