/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load - producers and workers over HTTP who write down what they were told, faster than the rest of tests/chaos.
 *
 *   load HISTORY PRODUCERS WORKERS JOBS SECONDS TOKEN FLEET-SECRET URL...
 *
 * Submits JOBS jobs, each with a key, and leases and completes them until all are done. Every request goes to another
 * URL than the one before, as behind a load balancer; one without an answer, or answered 503, is repeated. HISTORY gets
 * a line for each job accepted, lease given and completion answered; times are of the monotonic clock, microseconds:
 *
 *   s NUMBER ID ASKED ANSWERED STATUS
 *   l ID TOKEN WORKER ASKED ANSWERED
 *   c ID TOKEN WORKER ASKED ANSWERED STATUS
 *
 * Exit 0: all is done; 1: not within SECONDS, or an answer that nobody should see; 2: usage.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dispatch/http.h"
#include "dispatch/peer.h"

#define URLS_MAX 8
#define AGAIN_US 20000

/* A producer or a worker: one request at a time. */
struct actor {
    struct load *load;
    struct connection *to[URLS_MAX];
    int next_url, number; /* number: a worker's, or the job a producer submits; 0: none */
    uint64_t again_us;    /* when to ask again; 0: an answer is awaited, or nothing is left */
    void (*ask)(struct actor *a);
    char header[1100], id[32];
    int64_t job; /* held by a worker; 0: none */
    char token[72];
};

struct load {
    struct client clients[URLS_MAX]; /* all on the first one's epoll */
    int n_urls, n_producers, n_workers, jobs, submitted, completed;
    const char *token, *secret;
    struct actor *actors; /* producers, then workers */
    FILE *history;
    struct buffer body; /* of the request being made */
    struct answer head; /* of the registration being made */
    char trouble[512];  /* the first answer that nobody should see */
};

static void trouble(struct load *l, const char *what, const struct answer *a)
{
    if (!l->trouble[0])
        snprintf(l->trouble, sizeof l->trouble, "%s was answered %d %.300s", what, a->status, a->text);
}

/* Puts a request into the connection to a URL. */
static struct connection *post(struct actor *a, int url, const char *path, const char *header, const char *body)
{
    struct load *l = a->load;
    buffer_print(&l->body, "%s", body);
    http_post(connection_out(a->to[url]), l->clients[url].host, path, header, &l->body);
    l->body.n = 0;
    return a->to[url];
}

static void send_next(struct actor *a, const char *path, const char *body, answer_fn fn)
{
    struct connection *c = post(a, a->next_url, path, a->header, body);
    a->next_url = (a->next_url + 1) % a->load->n_urls;
    a->again_us = 0;
    connection_send(c, (struct request){.kind = REQUEST_ASK}, fn, a);
}

/* Was this no real answer? Then it is asked again, at another URL. */
static bool once_more(struct actor *a, const struct answer *answer)
{
    if (answer->status != 0 && answer->status != 503)
        return false;
    a->again_us = now_us() + AGAIN_US;
    return true;
}

/* ---- producers ---- */

static void submit(struct actor *a);

static void submitted(struct connection *c, const struct answer *answer, void *arg)
{
    struct actor *a = arg;
    struct load *l = a->load;
    (void)c;
    if (once_more(a, answer))
        return;
    if (answer->status != 201 && answer->status != 200)
        trouble(l, "a submit", answer);
    fprintf(l->history, "s %d %" PRId64 " %" PRIu64 " %" PRIu64 " %d\n", a->number,
            json_pick_int(answer->text, "id", 0), answer->sent_us, answer->received_us, answer->status);
    a->number = 0;
    submit(a);
}

static void submit(struct actor *a)
{
    char body[160];
    if (a->number == 0 && a->load->submitted == a->load->jobs)
        return;
    if (a->number == 0)
        a->number = ++a->load->submitted;
    snprintf(body, sizeof body,
             "{\"workflow\":\"bench-noop\",\"params\":{\"nonce\":\"%d\"},\"idempotency_key\":\"%d\"}", a->number,
             a->number);
    send_next(a, "/api/jobs", body, submitted);
}

/* ---- workers ---- */

static void poll_next(struct actor *a);
static void complete(struct actor *a);

static void completed(struct connection *c, const struct answer *answer, void *arg)
{
    struct actor *a = arg;
    struct load *l = a->load;
    (void)c;
    fprintf(l->history, "c %" PRId64 " %s %s %" PRIu64 " %" PRIu64 " %d\n", a->job, a->token, a->id, answer->sent_us,
            answer->received_us, answer->status);
    if (once_more(a, answer))
        return;
    if (answer->status != 200 && answer->status != 404)
        trouble(l, "a complete", answer);
    l->completed += answer->status == 200;
    a->job = 0;
    poll_next(a);
}

static void complete(struct actor *a)
{
    char body[256];
    a->ask = complete;
    snprintf(body, sizeof body,
             "{\"dispatch_id\":%" PRId64 ",\"lease_token\":\"%s\",\"worker_id\":\"%s\",\"provider_job_id\":\"%s\"}",
             a->job, a->token, a->id, a->token);
    send_next(a, "/api/worker/complete", body, completed);
}

static void polled(struct connection *c, const struct answer *answer, void *arg)
{
    struct actor *a = arg;
    (void)c;
    if (once_more(a, answer))
        return;
    if (answer->status != 200) {
        trouble(a->load, "a poll", answer);
        return;
    }
    a->job = json_pick_int(answer->text, "dispatch_id", 0);
    if (a->job == 0 || !json_pick_text(answer->text, "lease_token", a->token, sizeof a->token)) {
        poll_next(a);
        return;
    }
    fprintf(a->load->history, "l %" PRId64 " %s %s %" PRIu64 " %" PRIu64 "\n", a->job, a->token, a->id, answer->sent_us,
            answer->received_us);
    complete(a);
}

static void poll_next(struct actor *a)
{
    char body[96];
    a->ask = poll_next;
    if (a->load->completed >= a->load->jobs)
        return;
    snprintf(body, sizeof body, "{\"worker_id\":\"%s\",\"wait_seconds\":1}", a->id);
    send_next(a, "/api/worker/poll", body, polled);
}

static bool worker_register(struct actor *a)
{
    char header[1100], body[160], answer[4096], token[128];
    snprintf(header, sizeof header, "X-Fleet-Secret: %s", a->load->secret);
    snprintf(body, sizeof body, "{\"worker_id\":\"%s\",\"max_concurrency\":2,\"workflow_slugs\":[\"bench-noop\"]}",
             a->id);
    struct connection *c = post(a, a->number % a->load->n_urls, "/api/worker/register", header, body);
    int status = connection_ask(c, &a->load->head, answer, sizeof answer) ? a->load->head.status : 0;
    if (status != 200 || !json_pick_text(answer, "token", token, sizeof token)) {
        snprintf(a->load->trouble, sizeof a->load->trouble, "registering %s was answered %d %.300s", a->id, status,
                 answer);
        return false;
    }
    snprintf(a->header, sizeof a->header, "Authorization: Bearer %s", token);
    return true;
}

/* ---- the run ---- */

static bool actors_make(struct load *l)
{
    int n = l->n_producers + l->n_workers;
    l->actors = calloc((size_t)n, sizeof *l->actors);
    if (!l->actors)
        abort();
    for (int i = 0; i < n; i++) {
        struct actor *a = &l->actors[i];
        bool worker = i >= l->n_producers;
        a->load = l;
        a->next_url = i % l->n_urls;
        a->ask = worker ? poll_next : submit;
        a->again_us = 1;
        for (int u = 0; u < l->n_urls; u++)
            a->to[u] = connection_new(&l->clients[u], PEER_BPD.read);
        snprintf(a->id, sizeof a->id, "field-%d", i - l->n_producers);
        snprintf(a->header, sizeof a->header, "Authorization: Bearer %s", l->token);
        a->number = worker ? i : 0;
        if (worker && !worker_register(a))
            return false;
    }
    return true;
}

static void run(struct load *l, uint64_t until_us)
{
    while (l->completed < l->jobs && !l->trouble[0] && now_us() < until_us) {
        for (int i = 0; i < l->n_producers + l->n_workers; i++) {
            struct actor *a = &l->actors[i];
            if (a->again_us && a->again_us <= now_us())
                a->ask(a);
        }
        client_run(&l->clients[0], 10000);
    }
    if (l->completed < l->jobs && !l->trouble[0])
        snprintf(l->trouble, sizeof l->trouble, "time is over: %d of %d jobs submitted, %d completed", l->submitted,
                 l->jobs, l->completed);
}

static bool urls_open(struct load *l, char **urls)
{
    for (int u = 0; u < l->n_urls; u++) {
        struct target to = {.url = urls[u], .scheme = "http", .port = "80"};
        if (client_open(&l->clients[u], &to, l->trouble, sizeof l->trouble) != 0)
            return false;
        if (u > 0) {
            close(l->clients[u].epoll);
            l->clients[u].epoll = l->clients[0].epoll;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct load l;
    if (argc < 9 || argc > 8 + URLS_MAX) {
        fputs("usage: load HISTORY PRODUCERS WORKERS JOBS SECONDS TOKEN FLEET-SECRET URL...\n", stderr);
        return 2;
    }
    l.history = fopen(argv[1], "we");
    l.n_producers = atoi(argv[2]);
    l.n_workers = atoi(argv[3]);
    l.jobs = atoi(argv[4]);
    l.token = argv[6];
    l.secret = argv[7];
    l.n_urls = argc - 8;
    if (!l.history) {
        perror(argv[1]);
        return 1;
    }
    uint64_t began = now_us();
    if (urls_open(&l, argv + 8) && actors_make(&l))
        run(&l, began + (uint64_t)atoi(argv[5]) * 1000000);
    bool written = fclose(l.history) == 0;
    printf("%d jobs in %.1f s\n", l.completed, (double)(now_us() - began) / 1e6);
    if (l.trouble[0])
        fprintf(stderr, "load: %s\n", l.trouble);
    return l.trouble[0] || !written ? 1 : 0;
}
