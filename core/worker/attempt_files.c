/* SPDX-License-Identifier: Apache-2.0 */
/* attempt_files.c - inputs and the last checkpoint come down, the output goes up; URLs that have run out are renewed.
 */
#include "log/log.h"
#include "worker/attempt_priv.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FETCH_TRIES    8  /* about a minute */
#define UPLOAD_TRIES   12 /* about four */
#define REFUSALS_MAX   8  /* with the rests between, longer than a tick of the controller */
#define HEADERS_MAX    16
#define CHECKPOINT_MAX (64LL * 1024 * 1024)

/* What an object store says of a URL that ran out: 403, or, when the credentials that signed it did, S3's 400. */
static int is_refusal(int status)
{
    return status == 400 || status == 401 || status == 403;
}

/* Fetches new URLs, then fn: at once the first time, later after a rest, for the controller may still sign with
 * credentials that were ended early, until a call of its own tells it so. */
static void renew(struct attempt *a, void (*fn)(struct attempt *a), void (*renew_and_fn)(struct attempt *a))
{
    if (a->refusals <= 1)
        attempt_refresh(a, fn);
    else
        attempt_later(a, backoff_next_ms(&a->backoff, 0), renew_and_fn);
}

/* ---- down ---- */

static const char *input_url(const struct attempt *a, size_t i)
{
    struct json_object *inputs = json_member(a->input, "inputs");
    const char *url = json_str(inputs ? json_object_array_get_idx(inputs, i) : NULL, "url", NULL);
    return url || i > 0 ? url : json_str(a->job, "input_url", NULL);
}

static void skip_checkpoint(struct attempt *a, const char *why)
{
    log_warn(LOG_WORKER, "job %lld: its checkpoint cannot be had (%s): it begins anew", (long long)a->id, why);
    attempt_run(a);
}

/* For good: neither waiting nor another worker helps. */
static void fetch_failed(struct attempt *a, int retryable, const char *why)
{
    if (a->next_input >= a->n_inputs)
        skip_checkpoint(a, why);
    else
        attempt_report(a, retryable ? VERDICT_RETRY : VERDICT_FAIL, "%s: %s", "the input could not be read", why);
}

static void renew_and_fetch(struct attempt *a)
{
    attempt_refresh(a, attempt_fetch);
}

static void fetch_refused(struct attempt *a, const struct http_client_answer *h)
{
    char why[64];
    snprintf(why, sizeof(why), "its server answered with status %d", h->status);
    if (h->status == 404)
        fetch_failed(a, 0, "the file is not there any more");
    else if (is_refusal(h->status) && ++a->refusals <= REFUSALS_MAX)
        renew(a, attempt_fetch, renew_and_fetch);
    else if (api_is_temporary(h->status) && a->backoff.tries < FETCH_TRIES)
        attempt_later(a, backoff_next_ms(&a->backoff, h->retry_after_s), attempt_fetch);
    else
        fetch_failed(a, 1, why);
}

static void fetch_broke(struct attempt *a, const struct bp_err *err)
{
    if (err->rc == BP_INVALID)
        fetch_failed(a, 0, "the file is too large for this service");
    else if (err->rc != BP_NOSPACE && a->backoff.tries < FETCH_TRIES)
        attempt_later(a, backoff_next_ms(&a->backoff, 0), attempt_fetch);
    else
        fetch_failed(a, 1, err->text);
}

static void fetched(const struct http_client_answer *h, void *arg)
{
    struct attempt *a = arg;
    a->transfer = NULL;
    if (h->status == 0) {
        fetch_broke(a, &h->err);
        return;
    }
    if (h->status != 200) {
        fetch_refused(a, h);
        return;
    }
    a->backoff.tries = a->refusals = 0;
    if (a->next_input < a->n_inputs) {
        a->next_input++;
        attempt_fetch(a);
        return;
    }
    a->has_checkpoint = 1;
    attempt_run(a);
}

static void get(struct attempt *a, const char *url, const char *name, int64_t max_bytes)
{
    struct bp_err err = {0};
    char path[64];
    struct http_client_request r = {.method = "GET",
                                    .url = url,
                                    .to_file = attempt_file(a, name, path),
                                    .max_bytes = max_bytes,
                                    .done = fetched,
                                    .arg = a};
    a->transfer = http_client_send(a->w->http, &r, &err);
    if (!a->transfer)
        fetch_failed(a, 1, err.text);
}

void attempt_fetch(struct attempt *a)
{
    char name[32];
    const char *checkpoint = json_str(a->input, "checkpoint_url", NULL);
    if (a->next_input < a->n_inputs) {
        const char *url = input_url(a, a->next_input);
        snprintf(name, sizeof(name), "input-%zu", a->next_input);
        if (url)
            get(a, url, name, config_int(a->w->config, CONFIG_WORKER_MAX_INPUT));
        else
            fetch_failed(a, 1, "the controller gave no URL for it");
    } else if (checkpoint && *checkpoint) {
        get(a, checkpoint, "checkpoint-in", CHECKPOINT_MAX);
    } else {
        attempt_run(a);
    }
}

/* ---- up ---- */

/* An hour without a controller is no reason to give a result up; an object store that answers "no" for minutes is. */
static int may_try_upload(const struct attempt *a)
{
    return a->backoff.tries < UPLOAD_TRIES || mono_ms() - a->answered_ms > 3 * a->beat_ms;
}

static void renew_and_upload(struct attempt *a)
{
    attempt_refresh(a, attempt_upload);
}

static void upload_refused(struct attempt *a, int status, int64_t retry_after_s, const char *why)
{
    if (is_refusal(status) && ++a->refusals <= REFUSALS_MAX)
        renew(a, attempt_upload, renew_and_upload);
    else if (status == 413)
        attempt_report(a, VERDICT_FAIL, "the output is larger than the service takes");
    else if (api_is_temporary(status) && may_try_upload(a))
        attempt_later(a, backoff_next_ms(&a->backoff, retry_after_s), attempt_upload);
    else
        attempt_report(a, VERDICT_RETRY, "the output could not be uploaded: status %d %s", status, why);
}

static void uploaded(const struct http_client_answer *h, void *arg)
{
    struct attempt *a = arg;
    a->transfer = NULL;
    if (h->status >= 200 && h->status <= 299)
        attempt_report(a, VERDICT_COMPLETE, "%s", "");
    else
        upload_refused(a, h->status, h->retry_after_s, h->err.text);
}

/* Headers of the signed request: {"Name": "value"} or {"Name": ["value"]}; an empty map may come as []. Host is ours.
 */
static uint32_t read_headers(struct attempt *a, char text[HEADERS_MAX][512], const char **out)
{
    struct json_object *map = json_member(a->job, "output_headers");
    uint32_t n = 0;
    if (!map || !json_object_is_type(map, json_type_object))
        return 0;
    json_object_object_foreach(map, name, value)
    {
        if (json_object_is_type(value, json_type_array))
            value = json_object_array_get_idx(value, 0);
        const char *s = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
        if (!s || n == HEADERS_MAX || !strcasecmp(name, "host") || strpbrk(name, "\r\n:") || strpbrk(s, "\r\n"))
            continue;
        snprintf(text[n], sizeof(text[n]), "%s: %s", name, s);
        out[n] = text[n];
        n++;
    }
    return n;
}

static int output_is_there(struct attempt *a)
{
    char path[64];
    struct stat st;
    if (lstat(attempt_file(a, "output", path), &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
        return 0;
    a->output_bytes = (int64_t)st.st_size;
    return 1;
}

static void put(struct attempt *a)
{
    char path[64];
    char text[HEADERS_MAX][512];
    const char *headers[HEADERS_MAX];
    struct bp_err err = {0};
    struct http_client_request r = {.method = "PUT",
                                    .url = json_str(a->job, "output_url", ""),
                                    .headers = headers,
                                    .n_headers = read_headers(a, text, headers),
                                    .from_file = attempt_file(a, "output", path),
                                    .max_bytes = 1024 * 1024,
                                    .done = uploaded,
                                    .arg = a};
    a->transfer = http_client_send(a->w->http, &r, &err);
    if (!a->transfer)
        attempt_report(a, VERDICT_RETRY, "the output could not be uploaded: %s", err.text);
}

void attempt_upload(struct attempt *a)
{
    const char *url = json_str(a->job, "output_url", NULL);
    if (!url) { /* a workflow whose result is not a file */
        attempt_report(a, VERDICT_COMPLETE, "%s", "");
        return;
    }
    if (!output_is_there(a)) {
        attempt_report(a, VERDICT_RETRY, "the workflow %s said it was done, but left no output", a->slug);
        return;
    }
    if (a->stage != ATTEMPT_UPLOADING)
        attempt_enter(a, ATTEMPT_UPLOADING);
    if (attempt_urls_are_old(a, url) && a->refusals == 0)
        attempt_refresh(a, put);
    else
        put(a);
}

static void give_up_upload(struct attempt *a)
{
    attempt_hand_back(a);
}

void attempt_limit_upload(struct attempt *a, int64_t ms)
{
    a->on_limit = give_up_upload;
    loop_timer_after(a->limit, ms);
}
