/* SPDX-License-Identifier: Apache-2.0 */
/* Registering the workers a run needs, or taking them from a file of an earlier run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

static void worker_name(struct run *r, int i)
{
    struct worker *w = &r->workers[i];
    w->run = r;
    w->idle_poller = i >= r->opt.workers;
    snprintf(w->id, sizeof w->id, "%s-%d", r->opt.prefix, i);
}

static void worker_ready(struct run *r, struct worker *w)
{
    snprintf(w->header, sizeof w->header, "Authorization: Bearer %s", w->token);
    snprintf(w->poll_body, sizeof w->poll_body, "{\"worker_id\":\"%s\",\"max_concurrency\":%d,\"wait_seconds\":%d%s",
             w->id, r->opt.batch, w->idle_poller ? 60 : 2, r->opt.batch > 1 ? "" : "}");
    if (r->opt.batch > 1)
        snprintf(w->poll_body + strlen(w->poll_body), 32, ",\"max_jobs\":%d}", r->opt.batch);
    w->connection = connection_new(&r->client);
}

/* How long to wait before asking again, seconds; 0: not at all. A daemon that has just started may not know the
 * workflow yet, and many workers under a low limit of registrations take long but come up. */
static unsigned register_again_s(const struct run *r, int status, int retry_s)
{
    if (status == 422 || status == 503)
        return now_us() - r->begin_us < 5000000 ? 1 : 0;
    if (status != 429)
        return 0;
    retry_s = retry_s > 0 ? retry_s : 5;
    fprintf(stderr, "bp-bench: registrations are limited; waiting %d s (http.registerPerMinute, or --tokens FILE)\n",
            retry_s);
    return (unsigned)retry_s;
}

static int register_one(struct run *r, struct connection *c, struct worker *w)
{
    char header[1100], body[512], answer[4096];
    int retry_s = 0, status;
    unsigned wait_s;
    snprintf(header, sizeof header, "X-Fleet-Secret: %s", r->opt.fleet_secret);
    snprintf(body, sizeof body, "{\"worker_id\":\"%s\",\"max_concurrency\":%d,\"workflow_slugs\":[\"%s\"]}", w->id,
             r->opt.batch, w->idle_poller ? r->opt.idle_workflow : r->opt.workflow);
    do {
        status = connection_ask(c, "/api/worker/register", header, body, answer, sizeof answer, &retry_s);
        wait_s = register_again_s(r, status, retry_s);
        sleep(wait_s);
    } while (wait_s > 0);
    if (status == 200 && json_pick_text(answer, "token", w->token, sizeof w->token))
        return 0;
    snprintf(r->trouble, sizeof r->trouble, "cannot register worker %s at %s: %s %.140s", w->id, r->opt.url,
             status ? "the answer was" : "no answer", status ? answer : "");
    return -1;
}

/* Lines of "ID TOKEN WORKFLOW" written by an earlier run. */
static bool token_known(struct run *r, struct worker *w)
{
    FILE *f = r->opt.tokens_file ? fopen(r->opt.tokens_file, "re") : NULL;
    char line[512], id[96], token[128], workflow[128];
    bool known = false;
    while (f && !known && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%95s %127s %127s", id, token, workflow) != 3 || strcmp(id, w->id) != 0)
            continue;
        known = strcmp(workflow, w->idle_poller ? r->opt.idle_workflow : r->opt.workflow) == 0;
        if (known)
            memcpy(w->token, token, sizeof token);
    }
    if (f)
        fclose(f);
    return known;
}

static void tokens_keep(const struct run *r)
{
    FILE *f = r->opt.tokens_file ? fopen(r->opt.tokens_file, "we") : NULL;
    for (int i = 0; f && i < r->n_workers; i++)
        fprintf(f, "%s %s %s\n", r->workers[i].id, r->workers[i].token,
                r->workers[i].idle_poller ? r->opt.idle_workflow : r->opt.workflow);
    if (f)
        fclose(f);
}

int workers_register(struct run *r)
{
    struct connection *c = connection_new(&r->client);
    int rc = 0;
    r->begin_us = now_us();
    r->n_workers = r->opt.workers + r->opt.idle_pollers;
    r->workers = calloc((size_t)r->n_workers + 1, sizeof *r->workers);
    if (!r->workers)
        abort();
    for (int i = 0; rc == 0 && i < r->n_workers; i++) {
        struct worker *w = &r->workers[i];
        worker_name(r, i);
        if (!token_known(r, w))
            rc = register_one(r, c, w);
        if (rc == 0)
            worker_ready(r, w);
    }
    if (rc == 0)
        tokens_keep(r);
    connection_free(c);
    return rc;
}

void workers_deregister(struct run *r)
{
    char answer[1024];
    struct connection *c = connection_new(&r->client);
    for (int i = 0; i < r->n_workers; i++) {
        connection_free(r->workers[i].connection);
        r->workers[i].connection = NULL;
        if (!r->opt.tokens_file && r->workers[i].token[0])
            connection_ask(c, "/api/worker/deregister", r->workers[i].header, "{}", answer, sizeof answer, NULL);
    }
    connection_free(c);
}
