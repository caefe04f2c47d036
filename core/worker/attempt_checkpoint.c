/* SPDX-License-Identifier: Apache-2.0 */
/* attempt_checkpoint.c - what the job saved leaves the machine: now and then, and at once when the worker must go. */
#include "log/log.h"
#include "worker/attempt_priv.h"

#include <stdlib.h>

#define SAVE_TRIES 5 /* of a hand-back */

static const char *upload_url(const struct attempt *a)
{
    return json_str(a->input, "checkpoint_upload_url", NULL);
}

static void requeue(struct attempt *a)
{
    attempt_report(a, VERDICT_REQUEUE, "%s", a->interrupted);
}

static void hand_back_again(struct attempt *a);

static void saved(const struct http_client_answer *h, void *arg)
{
    struct attempt *a = arg;
    a->saving = NULL;
    int good = h->status >= 200 && h->status <= 299;
    if (good) {
        a->saved = a->key_untold = 1;
        a->save_failures = 0;
    } else {
        a->unsaved = 1;
        a->save_failures++;
        log_warn(LOG_WORKER, "job %lld: the checkpoint could not be uploaded: status %d %s", (long long)a->id,
                 h->status, h->err.text);
    }
    if (a->stage == ATTEMPT_SAVING)
        hand_back_again(a);
    else if (good)
        attempt_tell(a);
}

/* The runner may replace the file meanwhile: the one opened here is whole and stays. */
static int send_file(struct attempt *a)
{
    struct bp_err err = {0};
    char path[64];
    struct http_client_request r = {.method = "PUT",
                                    .url = upload_url(a),
                                    .from_file = attempt_file(a, "checkpoint", path),
                                    .max_bytes = 65536,
                                    .done = saved,
                                    .arg = a};
    a->unsaved = 0;
    a->saving = http_client_send(a->w->http, &r, &err);
    if (!a->saving)
        log_warn(LOG_WORKER, "job %lld: the checkpoint could not be uploaded: %s", (long long)a->id, err.text);
    return a->saving ? BP_OK : BP_FAIL;
}

static void send_with_fresh_url(struct attempt *a)
{
    if (!a->saving)
        send_file(a);
}

void attempt_save(struct attempt *a)
{
    if (!a->unsaved || a->saving || !upload_url(a) || a->stage != ATTEMPT_RUNNING)
        return;
    if (attempt_urls_are_old(a, upload_url(a)) || a->save_failures)
        attempt_refresh(a, send_with_fresh_url);
    else
        send_file(a);
}

static void save_due(void *arg)
{
    struct attempt *a = arg;
    attempt_save(a);
    if (a->unsaved && a->stage == ATTEMPT_RUNNING)
        loop_timer_after(a->save, 1000);
}

void attempt_checkpoint_saved(struct attempt *a)
{
    if (a->stage == ATTEMPT_TRYING)
        return;
    int armed = a->unsaved || a->saving;
    a->unsaved = 1;
    if (!a->save)
        a->save = loop_timer_new(a->w->loop, "worker.checkpoint", save_due, a);
    if (a->save && !armed && !a->interrupted[0])
        loop_timer_after(a->save, (int64_t)(config_num(a->w->config, CONFIG_WORKER_CHECKPOINT_S) * 1000));
}

/* ---- the worker leaves ---- */

static void hand_back_again(struct attempt *a)
{
    if (!a->unsaved || a->save_failures >= SAVE_TRIES || mono_ms() >= a->hand_back_ms) {
        requeue(a);
        return;
    }
    /* What the first refusal may mean is an old URL. */
    if (a->save_failures || attempt_urls_are_old(a, upload_url(a)))
        attempt_refresh(a, send_with_fresh_url);
    else if (send_file(a) < 0)
        requeue(a);
}

void attempt_hand_back(struct attempt *a)
{
    attempt_enter(a, ATTEMPT_SAVING);
    a->save_failures = 0;
    a->on_limit = requeue;
    int64_t left = a->hand_back_ms - mono_ms();
    loop_timer_after(a->limit, left > 0 ? left : 0);
    if (a->save)
        loop_timer_cancel(a->save);
    if (!a->unsaved && !a->saving)
        requeue(a);
    else if (!upload_url(a))
        requeue(a);
    else if (!a->saving)
        hand_back_again(a);
}
