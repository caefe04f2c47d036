/* SPDX-License-Identifier: Apache-2.0 */
/* prompt.c - a graph in ComfyUI's queue: handed in, looked for, taken back. */
#include "clock.h"
#include "comfy.h"
#include "graph.h"
#include "json.h"
#include "words.h"

#include <bp/workflow.h>
#include <stdio.h>

#define CANCEL_MS 3000 /* how long taking a prompt back may take */

static struct json_object *request(const struct comfy *c)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "prompt", json_object_get(c->graph));
    json_object_object_add(o, "client_id", json_object_new_string(c->client_id));
    if (c->set.extra_data)
        json_object_object_add(o, "extra_data", json_object_get(c->set.extra_data));
    return o;
}

/* The whole of what ComfyUI says against a graph, for the operator: err has room for the first sentence alone. */
static void log_refusal(const struct comfy *c, const struct answer *a)
{
    char line[480];
    if (a->body)
        bp_job_log(c->job, BP_LOG_WARN, "ComfyUI answers %ld: %s", a->status, words_line(a->body, line, sizeof line));
}

static int32_t accepted(struct comfy *c, const struct answer *a, struct bp_err *err)
{
    const char *id = json_str(a->json, "prompt_id", "");
    if (a->status != 200) {
        log_refusal(c, a);
        return words_refusal(a->status, a->json, a->body, err);
    }
    if (!*id || (size_t)snprintf(c->prompt_id, sizeof c->prompt_id, "%s", id) >= sizeof c->prompt_id) {
        c->prompt_id[0] = '\0';
        return bp_error(err, BP_FAIL, "%.100s answers to /prompt without a prompt_id; is that ComfyUI?", c->set.url);
    }
    int32_t rc = words_partial(json_member(a->json, "node_errors"), c->set.output_node, err);
    if (rc < 0)
        log_refusal(c, a);
    return rc;
}

/* ---- the queue ---- */

/* An entry is [number, prompt id, graph, extra data, outputs]. */
static const char *entry_id(struct json_object *entry)
{
    int whole = json_object_is_type(entry, json_type_array) && json_object_array_length(entry) >= 4;
    const char *id = whole ? json_object_get_string(json_object_array_get_idx(entry, 1)) : NULL;
    return id ? id : "";
}

/* Of this job, whichever attempt: only one holds its lease, so what another left behind is nobody's. */
static int is_of_job(const struct comfy *c, struct json_object *entry)
{
    char of_job[40];
    int n = snprintf(of_job, sizeof of_job, CLIENT_OF_JOB, (long long)c->job->id);
    return *entry_id(entry) &&
           strncmp(json_str(json_object_array_get_idx(entry, 3), "client_id", ""), of_job, (size_t)n) == 0;
}

static int is_prompt(const struct comfy *c, struct json_object *entry)
{
    return c->prompt_id[0] && strcmp(entry_id(entry), c->prompt_id) == 0;
}

/* The id of the first such prompt in a part of the queue, borrowed; NULL: there is none. */
static const char *find_in(const struct comfy *c, struct json_object *queue, const char *part,
                           int (*is)(const struct comfy *c, struct json_object *entry))
{
    struct json_object *list = json_member(queue, part);
    for (size_t i = 0; json_object_is_type(list, json_type_array) && i < json_object_array_length(list); i++) {
        struct json_object *entry = json_object_array_get_idx(list, i);
        if (is(c, entry))
            return entry_id(entry);
    }
    return NULL;
}

static int32_t get_queue(struct comfy *c, struct answer *a, struct bp_err *err)
{
    int32_t rc = http_get(c->http, "/queue", a, err);
    if (rc < 0 || (a->status == 200 && json_object_is_type(a->json, json_type_object)))
        return rc;
    rc = bp_error(err, BP_FAIL, "ComfyUI at %.100s answers %ld to /queue", c->set.url, a->status);
    answer_free(a);
    return rc;
}

int32_t comfy_queued(struct comfy *c, struct bp_err *err)
{
    struct answer a;
    int32_t rc = get_queue(c, &a, err);
    if (rc < 0)
        return rc;
    rc = find_in(c, a.json, "queue_running", is_prompt) || find_in(c, a.json, "queue_pending", is_prompt);
    answer_free(&a);
    return rc;
}

/* Posts {key: [id]} or, with no list, {key: id}; the answer says nothing. */
static int32_t post_id(struct comfy *c, const char *path, const char *key, const char *id, int as_list,
                       struct bp_err *err)
{
    struct answer a;
    struct json_object *body = json_object_new_object(), *list = as_list ? json_object_new_array() : NULL;
    struct json_object *text = json_object_new_string(id);
    if (list)
        json_object_array_add(list, text);
    json_object_object_add(body, key, list ? list : text);
    int32_t rc = http_post(c->http, path, body, &a, err);
    json_object_put(body);
    if (rc == BP_OK)
        answer_free(&a);
    return rc;
}

/* One look at the queue and what it asks for. 1: nothing of the job is left; 0: look again; negative: ComfyUI is gone.
 */
static int32_t take_back_once(struct comfy *c, struct bp_err *err)
{
    struct answer a;
    int32_t rc = get_queue(c, &a, err);
    if (rc < 0)
        return rc;
    const char *running = find_in(c, a.json, "queue_running", is_of_job);
    const char *waiting = find_in(c, a.json, "queue_pending", is_of_job);
    /* Old versions interrupt whatever runs, new ones the prompt named: so only while it is ours that runs. */
    if (running)
        rc = post_id(c, "/interrupt", "prompt_id", running, 0, err);
    if (rc == BP_OK && waiting)
        rc = post_id(c, "/queue", "delete", waiting, 1, err);
    answer_free(&a);
    return rc < 0 ? rc : !running && !waiting;
}

/* The same until nothing of the job is left, or time is up (0). */
static int32_t take_back(struct comfy *c, struct bp_err *err)
{
    int64_t end = clock_ms() + CANCEL_MS;
    int32_t rc;
    while ((rc = take_back_once(c, err)) == 0 && clock_ms() < end)
        clock_sleep_ms(100);
    return rc;
}

/* From now on nothing that is asked of ComfyUI is stopped, and so nothing may take long. */
static void hurry(struct comfy *c)
{
    c->cancelling = 1;
    http_hurry(c->http, CANCEL_MS / 1000);
}

void comfy_cancel(struct comfy *c)
{
    struct bp_err ignored;
    hurry(c);
    if (take_back(c, &ignored) != 1)
        bp_job_log(c->job, BP_LOG_WARN, "ComfyUI at %.100s may still be at work on prompt %.100s", c->set.url,
                   c->prompt_id[0] ? c->prompt_id : c->client_id);
}

int32_t comfy_submit(struct comfy *c, struct bp_err *err)
{
    struct answer a;
    size_t bytes = 0;
    int32_t rc = take_back(c, err);
    if (rc < 0)
        return rc;
    struct json_object *body = request(c);
    json_object_to_json_string_length(body, JSON_C_TO_STRING_PLAIN, &bytes);
    rc = bytes > (size_t)GRAPH_BYTES_MAX
             ? bp_error(err, BP_BADINPUT, "the graph with its values has more than %ld bytes", GRAPH_BYTES_MAX)
             : http_post(c->http, "/prompt", body, &a, err);
    json_object_put(body);
    if (rc < 0)
        return rc;
    rc = accepted(c, &a, err);
    answer_free(&a);
    return rc;
}

static void free_memory(struct comfy *c)
{
    struct answer a;
    struct bp_err ignored;
    struct json_object *body = json_object_new_object();
    json_object_object_add(body, "unload_models", json_object_new_boolean(1));
    json_object_object_add(body, "free_memory", json_object_new_boolean(1));
    if (http_post(c->http, "/free", body, &a, &ignored) == BP_OK)
        answer_free(&a);
    json_object_put(body);
}

void comfy_tidy(struct comfy *c, int32_t rc)
{
    struct bp_err ignored;
    if (rc == BP_LATER) /* nobody is there */
        return;
    hurry(c);
    if (c->prompt_id[0])
        post_id(c, "/history", "delete", c->prompt_id, 1, &ignored);
    if (rc == BP_NOMEM || rc == BP_NOTFOUND)
        free_memory(c);
}
