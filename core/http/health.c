/* SPDX-License-Identifier: Apache-2.0 */
/* health.c - is it alive, is it ready: for load balancers and people. */
#include "http/door.h"
#include "log/json.h"

void health_up(struct call *c)
{
    answer_bytes(c, 200, "text/plain; charset=utf-8", "ok\n", 3);
}

void health_alive(struct call *c)
{
    answer_ok(c, 200, NULL, "alive");
}

void health_ready(struct call *c)
{
    const struct app *app = c->http->app;
    const char *queue = dispatch_queue_error(app->dispatch);

    if (app->ready && !app->draining && !queue) {
        answer_ok(c, 200, NULL, "ready");
        return;
    }
    call_add_header(c, "Retry-After", "1");
    answer_error(c, 503,
                 app->draining         ? "draining"
                 : app->not_ready[0]   ? app->not_ready
                 : app->ready && queue ? queue
                                       : "starting",
                 NULL);
}
