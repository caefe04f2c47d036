/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/api.h"

#include "log/log.h"
#include "worker/worker_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX_BYTES (8 * 1024 * 1024)

struct api_call {
    struct worker *worker;
    struct http_client_call *http;
    struct loop_timer *unsent; /* answers a call that could not even be sent */
    char why[252];
    int tokens; /* of the worker, when it was sent */
    api_done done;
    void *arg;
};

int api_is_temporary(int status)
{
    return status == 0 || status == 408 || status == 429 || status >= 500;
}

static void end(struct api_call *c, const struct api_answer *a)
{
    api_done done = c->done;
    void *arg = c->arg;
    loop_timer_free(c->unsent);
    free(c);
    done(a, arg);
}

static void unsent(void *arg)
{
    struct api_call *c = arg;
    char why[252];
    snprintf(why, sizeof(why), "%s", c->why);
    end(c, &(struct api_answer){.message = why});
}

static void answered(const struct http_client_answer *h, void *arg)
{
    struct api_call *c = arg;
    struct api_answer a = {.status = h->status,
                           .message = h->err.text,
                           .retry_after_s = h->retry_after_s,
                           .old_token = c->tokens != c->worker->tokens};
    struct json_object *envelope = NULL;
    if (h->status) {
        struct bp_err ignored;
        envelope = h->bytes ? json_parse(h->body, h->bytes, &ignored) : NULL;
        a.message = json_str(envelope, "message", h->status < 300 ? "" : "no reason was given");
        a.data = json_member(envelope, "data");
    }
    /* A proxy's page with status 200 is no answer of the controller's. */
    if (h->status >= 200 && h->status < 300 && !envelope) {
        a.status = 0;
        a.message = "the answer is no JSON: is worker.url the controller's?";
    }
    end(c, &a);
    json_object_put(envelope);
}

/* An empty object is harmless where a body is ignored. */
static int send_it(struct api_call *c, const char *name, struct json_object *body, int64_t timeout_ms)
{
    struct worker *w = c->worker;
    struct bp_err err = {0};
    char url[1200], who[1100];
    int first = !strcmp(name, "register");
    snprintf(url, sizeof(url), "%s/api/worker/%s", w->url, name);
    snprintf(who, sizeof(who), first ? "X-Fleet-Secret: %s" : "Authorization: Bearer %s", first ? w->secret : w->token);
    const char *headers[] = {"Content-Type: application/json", "Accept: application/json", who};
    struct http_client_request r = {.method = "POST",
                                    .url = url,
                                    .headers = headers,
                                    .n_headers = 3,
                                    .body = json_text(body),
                                    .max_bytes = ANSWER_MAX_BYTES,
                                    .timeout_ms = timeout_ms,
                                    .done = answered,
                                    .arg = c};
    c->http = http_client_send(w->http, &r, &err);
    snprintf(c->why, sizeof(c->why), "%s", err.text);
    return c->http ? BP_OK : BP_FAIL;
}

struct api_call *api_post(struct worker *w, const char *name, struct json_object *body, int64_t timeout_ms,
                          api_done done, void *arg)
{
    struct api_call *c = calloc(1, sizeof(*c));
    if (!c)
        abort();
    *c = (struct api_call){.worker = w, .tokens = w->tokens, .done = done, .arg = arg};
    if (send_it(c, name, body, timeout_ms) < 0) {
        c->unsent = loop_timer_new(w->loop, "worker.unsent", unsent, c);
        if (!c->unsent)
            abort();
        loop_timer_after(c->unsent, 0);
    }
    json_object_put(body);
    return c;
}

void api_cancel(struct api_call **call)
{
    struct api_call *c = *call;
    *call = NULL;
    if (!c)
        return;
    http_client_cancel(&c->http);
    loop_timer_free(c->unsent);
    free(c);
}
