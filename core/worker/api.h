/* SPDX-License-Identifier: Apache-2.0 */
/* api.h - calls of the controller's worker endpoints: JSON there and back in the envelope of docs/protocol.md. All
 * [loop]. */
#ifndef WORKER_API_H
#define WORKER_API_H

#include "client/http_client.h"
#include "log/json.h"

struct worker;
struct api_call;

/* Borrowed for the callback. */
struct api_answer {
    int status;               /* of HTTP, 0: no answer */
    struct json_object *data; /* NULL when there is none */
    const char *message;      /* of the envelope, or why there was no answer; never NULL */
    int64_t retry_after_s;
    int old_token; /* it was asked with a token that was replaced meanwhile */
};
typedef void (*api_done)(const struct api_answer *a, void *arg);

/* POST /api/worker/<name>. Takes body. "register" carries the fleet secret, the rest the token. Calls back exactly once
 * and never before it returned, unless cancelled. Aborts only on no memory for its own small struct. */
struct api_call *api_post(struct worker *w, const char *name, struct json_object *body, int64_t timeout_ms,
                          api_done done, void *arg);
/* *call becomes NULL; NULL is fine. */
void api_cancel(struct api_call **call);
/* May the same request succeed later? No answer, 408, 429 or 5xx. */
int api_is_temporary(int status);

#endif
