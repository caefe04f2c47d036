/* SPDX-License-Identifier: Apache-2.0 */
/* Registering the workers a run needs, or taking them from a file of an earlier run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "http.h"

static void worker_ready(struct worker *w)
{
    snprintf(w->header, sizeof w->header, "Authorization: Bearer %s", w->token);
}

/* Posts to the server and waits for what it says. */
static bool ask(struct run *r, struct connection *c, const char *path, const char *header, struct answer *a)
{
    http_post(connection_out(c), r->client.host, path, header, &r->body);
    r->body.n = 0;
    return connection_ask(c, a, r->said, sizeof r->said);
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

static int register_one(struct run *r, struct connection *c, struct worker *w, struct answer *a)
{
    char header[1100];
    unsigned wait_s;
    bool answered;
    snprintf(header, sizeof header, "X-Fleet-Secret: %s", r->opt.fleet_secret);
    do {
        buffer_print(&r->body, "{\"worker_id\":\"%s\",\"max_concurrency\":%d,\"workflow_slugs\":[\"%s\"]}", w->id,
                     r->opt.batch, w->idle_poller ? r->opt.idle_workflow : r->opt.workflow);
        answered = ask(r, c, "/api/worker/register", header, a);
        wait_s = answered ? register_again_s(r, a->status, a->retry_after_s) : 0;
        sleep(wait_s);
    } while (wait_s > 0);
    if (answered && a->status == 200 && json_pick_text(r->said, "token", w->token, sizeof w->token))
        return 0;
    snprintf(r->trouble, sizeof r->trouble, "cannot register worker %s at %s: %s%.240s", w->id, r->opt.url,
             answered ? "the answer was " : "no answer; is the server running there? ", r->said);
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
    struct connection *c = connection_new(&r->client, r->peer->read);
    struct answer *a = calloc(1, sizeof *a);
    int rc = 0;
    if (!a)
        abort();
    for (int i = 0; rc == 0 && i < r->n_workers; i++) {
        struct worker *w = &r->workers[i];
        if (!token_known(r, w))
            rc = register_one(r, c, w, a);
        if (rc == 0)
            worker_ready(w);
    }
    if (rc == 0)
        tokens_keep(r);
    free(a);
    connection_free(c);
    return rc;
}

void workers_deregister(struct run *r)
{
    struct connection *c = connection_new(&r->client, r->peer->read);
    struct answer *a = calloc(1, sizeof *a);
    for (int i = 0; a && i < r->n_workers && !r->opt.tokens_file; i++) {
        if (!r->workers[i].token[0])
            continue;
        buffer_print(&r->body, "{}");
        ask(r, c, "/api/worker/deregister", r->workers[i].header, a);
    }
    free(a);
    connection_free(c);
}
