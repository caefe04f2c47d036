/* SPDX-License-Identifier: Apache-2.0 */
/*
 * comfyui.c - the workflow: a ComfyUI graph, run by the ComfyUI of the instance. Everything that can be wrong with
 * settings, graph, params and files is found before ComfyUI is asked for anything.
 */
#include "check.h"
#include "clock.h"
#include "comfy.h"
#include "graph.h"
#include "history.h"
#include "json.h"
#include "words.h"

#include <bp/workflow.h>
#include <curl/curl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#define MARGIN_MS    10000 /* before the job's deadline: time to interrupt ComfyUI */
#define HANDSHAKE_MS 3000

/* ---- whether to go on ---- */

int32_t comfy_tell(struct comfy *c, double fraction, const char *words, struct bp_err *err)
{
    if (c->cancelling)
        return BP_OK;
    c->fraction = fraction;
    if (words != c->words)
        snprintf(c->words, sizeof c->words, "%s", words);
    if (c->job->progress(c->job->ctx, fraction, c->words) == BP_STOPPED)
        bp_error(&c->stopped, BP_STOPPED, "stopped as asked");
    else if (c->end_ms && clock_ms() >= c->end_ms)
        bp_error(&c->stopped, BP_TIMEOUT,
                 "ComfyUI at %.100s needs longer for the graph than timeoutSeconds allows (%.80s)", c->set.url,
                 c->words);
    if (c->stopped.rc < 0 && err)
        *err = c->stopped;
    return c->stopped.rc;
}

int comfy_stop(void *arg)
{
    struct comfy *c = arg;
    return comfy_tell(c, c->fraction, c->words, NULL) < 0;
}

/* ---- one run ---- */

static void make_client_id(struct comfy *c)
{
    uint8_t random[8] = {0};
    RAND_bytes(random, sizeof random);
    int n = snprintf(c->client_id, sizeof c->client_id, CLIENT_OF_JOB "%d-", (long long)c->job->id, c->job->attempt);
    for (size_t i = 0; i < sizeof random && n > 0; i++)
        n += snprintf(c->client_id + n, sizeof c->client_id - (size_t)n, "%02x", random[i]);
}

static void set_end(struct comfy *c)
{
    if (!c->job->deadline_ms)
        return;
    int64_t left = c->job->deadline_ms - clock_wall_ms();
    int64_t margin = left / 10 < MARGIN_MS ? left / 10 : MARGIN_MS;
    c->end_ms = clock_ms() + left - margin;
}

/* The node whose file is wanted, and the one that gets the first input's name, must be there. */
static int32_t check_nodes(struct comfy *c, struct bp_err *err)
{
    const struct settings *s = &c->set;
    if (s->output_node && !graph_node(c->graph, s->output_node))
        return bp_error(err, BP_INVALID, "settings.output_node_id: the graph has no node %.60s", s->output_node);
    if (s->input_node && c->bound->primary[0])
        return graph_set(c->graph, s->input_node, s->input_field, json_object_new_string(c->bound->primary), err);
    return BP_OK;
}

static int32_t prepare(struct comfy *c, struct bp_err *err)
{
    int told = BP_HAS(c->job, settings) && BP_HAS(c->job, settings_dir);
    int32_t rc = told ? settings_read(&c->set, c->job->settings, c->job->settings_dir, err)
                      : bp_error(err, BP_UNSUPPORTED, "this bpd gives workflows no settings; update it");
    if (rc < 0)
        return rc;
    c->params = json_read(c->job->params, strlen(c->job->params));
    c->bound = calloc(1, sizeof *c->bound);
    c->http = http_open(&(struct http_settings){.url = c->set.url,
                                                .request_s = c->set.request_s,
                                                .transfer_s = c->set.transfer_s,
                                                .stop = comfy_stop,
                                                .arg = c});
    if (!c->bound || !c->http)
        return bp_error(err, BP_NOMEM, "no memory to run a graph");
    rc = graph_read(c->set.graph, c->set.dir, &c->graph, err);
    if (rc == BP_OK)
        rc = bind_job(c->bound, &c->set, c->job, c->params, c->graph, err);
    if (rc == BP_OK)
        rc = graph_fill(c->graph, c->bound->values, c->bound->n_values, settings_spare_key(&c->set), err);
    return rc == BP_OK ? check_nodes(c, err) : rc;
}

/* What the entry of a prompt that is over says. */
static int32_t conclude(struct comfy *c, struct json_object *history, struct bp_err *err)
{
    struct json_object *entry = history_entry(history, c->prompt_id), *error = history_error(entry);
    char line[160];
    switch (history_state(entry)) {
    case HISTORY_DONE:
        return comfy_fetch(c, entry, err);
    case HISTORY_INTERRUPTED:
        return bp_error(err, BP_FAIL, "somebody interrupted ComfyUI at %.100s while it ran the graph", c->set.url);
    case HISTORY_FAILED:
        if (error)
            return words_node_error(error, err);
        words_line(history_message(entry), line, sizeof line);
        return bp_error(err, BP_BADINPUT, "ComfyUI failed the graph: %s", *line ? line : "it gives no reason");
    case HISTORY_ABSENT:
        break;
    }
    return bp_error(err, BP_FAIL, "ComfyUI at %.100s says nothing of the prompt", c->set.url);
}

/* The prompt is in ComfyUI's queue, or may be: it leaves with this function. */
static int32_t run_prompt(struct comfy *c, struct bp_err *err)
{
    struct json_object *history = NULL;
    int32_t rc = comfy_submit(c, err);
    if (rc == BP_OK) {
        events_open(&c->events, c->prompt_id, c->graph);
        rc = comfy_watch(c, &history, err);
    }
    if (rc < 0)
        comfy_cancel(c); /* it may be there though its answer never came */
    if (rc == BP_OK)
        rc = conclude(c, history, err);
    comfy_tidy(c, rc);
    json_object_put(history);
    events_close(&c->events);
    return rc;
}

static int32_t run_graph(struct comfy *c, struct bp_err *err)
{
    struct bp_err why = {0};
    int32_t rc = prepare(c, err);
    if (rc == BP_OK)
        rc = comfy_await(c, err);
    if (rc == BP_OK)
        rc = comfy_place_files(c, err);
    if (rc < 0)
        return rc;
    c->ws = ws_open(c->set.url, c->client_id, HANDSHAKE_MS, &why);
    if (!c->ws)
        bp_job_log(c->job, BP_LOG_INFO, "%s; the history is polled instead", why.text);
    return run_prompt(c, err);
}

static int32_t run(void *state, const struct bp_job *job, struct bp_err *err)
{
    struct comfy c = {.job = job};
    (void)state;
    make_client_id(&c);
    set_end(&c);
    int32_t rc = run_graph(&c, err);
    if (rc == BP_STOPPED && c.stopped.rc < 0) {
        *err = c.stopped; /* stopped may mean that its time is over */
        rc = c.stopped.rc;
    }
    ws_close(c.ws);
    http_close(c.http);
    if (c.bound)
        bound_free(c.bound);
    free(c.bound);
    json_object_put(c.graph);
    json_object_put(c.params);
    settings_free(&c.set);
    return rc;
}

static int32_t open(void *inst, const struct bp_device *dev, void **state, struct bp_err *err)
{
    (void)dev;
    *state = inst;
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? BP_OK
                                                             : bp_error(err, BP_FAIL, "libcurl cannot be initialised");
}

static void close(void *state)
{
    (void)state;
    curl_global_cleanup();
}

BP_WORKFLOW("comfyui", .open = open, .run = run, .close = close, .check = comfyui_check)
