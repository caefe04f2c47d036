/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_controller.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SECRET "s3cret-of-the-fleet"

/* ---- what was said ---- */

int fake_tried(const struct fake *f, const char *name)
{
    int n = 0;
    for (int i = 0; i < f->n_calls; i++)
        n += !strcmp(f->calls[i].name, name);
    return n;
}

int fake_count(const struct fake *f, const char *name)
{
    int n = 0;
    for (int i = 0; i < f->n_calls; i++)
        n += !strcmp(f->calls[i].name, name) && f->calls[i].status == 200;
    return n;
}

struct json_object *fake_last(const struct fake *f, const char *name)
{
    for (int i = f->n_calls - 1; i >= 0; i--)
        if (!strcmp(f->calls[i].name, name) && f->calls[i].status == 200)
            return f->calls[i].body;
    return NULL;
}

struct fake_object *fake_object(struct fake *f, const char *key)
{
    for (int i = 0; i < f->n_objects; i++)
        if (!strcmp(f->objects[i].key, key))
            return &f->objects[i];
    return NULL;
}

static void keep_object(struct fake *f, const char *key, const void *bytes, size_t n)
{
    struct fake_object *o = fake_object(f, key);
    if (!o && f->n_objects < FAKE_OBJECTS_MAX)
        o = &f->objects[f->n_objects++];
    if (!o)
        abort();
    snprintf(o->key, sizeof(o->key), "%s", key);
    free(o->bytes);
    o->bytes = malloc(n + 1);
    if (n)
        memcpy(o->bytes, bytes, n);
    o->bytes[n] = '\0';
    o->n = n;
}

void fake_put_object(struct fake *f, const char *key, const char *text)
{
    keep_object(f, key, text, strlen(text));
}

/* ---- answers ---- */

static void answer(struct evhttp_request *req, int status, struct json_object *data, const char *message)
{
    struct evbuffer *out = evbuffer_new();
    struct json_object *o = json_object_new_object();
    json_put_bool(o, "success", status == 200);
    json_object_object_add(o, "data", data);
    json_put_str(o, "message", message);
    evbuffer_add_printf(out, "%s", json_text(o));
    json_object_put(o);
    evhttp_send_reply(req, status, NULL, out);
    evbuffer_free(out);
}

static void object_url(struct fake *f, char out[256], const char *key)
{
    snprintf(out, 256, "%s/objects/%s?v=%d", f->url, key, f->url_version);
}

static void put_url(struct fake *f, struct json_object *into, const char *name, const char *key)
{
    char url[256];
    object_url(f, url, key);
    json_put_str(into, name, url);
}

struct json_object *fake_add_job(struct fake *f, int64_t id, const char *params_json, int n_inputs)
{
    struct json_object *job = json_object_new_object(), *input = json_object_new_object();
    struct json_object *inputs = json_object_new_array(), *headers = json_object_new_object();
    struct json_object *type = json_object_new_array();
    json_put_int(job, "dispatch_id", id);
    json_put_str(job, "lease_token", "11111111-2222-4333-8444-555555555555");
    json_put_str(job, "workflow", "test-copy");
    json_put_int(job, "attempt", 1);
    json_put_num(job, "heartbeat_seconds", f->heartbeat_s);
    json_put_raw(input, "params", params_json);
    for (int i = 0; i < n_inputs; i++) {
        struct json_object *in = json_object_new_object();
        put_url(f, in, "url", "photo");
        json_put_str(in, "mime", "image/jpeg");
        json_put_str(in, "name", "holiday.jpg");
        json_object_array_add(inputs, in);
    }
    json_object_object_add(input, "inputs", inputs);
    json_put_int(input, "timeout_seconds", 300);
    json_put_str(input, "checkpoint_url", NULL);
    json_put_str(input, "checkpoint_key", "jobs/1/checkpoint");
    put_url(f, input, "checkpoint_upload_url", "checkpoint");
    json_object_object_add(job, "input_payload", input);
    put_url(f, job, "output_url", "output");
    json_object_array_add(type, json_object_new_string("application/x-copy"));
    json_object_object_add(headers, "Content-Type", type);
    json_object_object_add(job, "output_headers", headers);
    f->jobs[f->n_jobs++] = job;
    return job;
}

static struct json_object *fresh_urls(struct fake *f, struct json_object *data)
{
    struct json_object *inputs = json_object_new_array(), *in = json_object_new_object();
    put_url(f, in, "url", "photo");
    json_object_array_add(inputs, in);
    json_object_object_add(data, "inputs", inputs);
    put_url(f, data, "output_url", "output");
    put_url(f, data, "checkpoint_upload_url", "checkpoint");
    return data;
}

static struct json_object *next_job(struct fake *f, const char **message)
{
    struct json_object *data = json_object_new_object();
    int found = f->next_job < f->n_jobs;
    if (f->released_ms)
        json_put_int(data, "released_at_ms", f->released_ms);
    json_object_object_add(data, "job", found ? json_object_get(f->jobs[f->next_job++]) : NULL);
    *message = found ? "Job leased" : f->draining ? "Worker draining" : "No jobs available";
    return data;
}

static int answer_job(struct fake *f, struct evhttp_request *req)
{
    const char *message;
    struct json_object *data = next_job(f, &message);
    answer(req, 200, data, message);
    return 200;
}

/* A complete, with the next job when it asks for one. */
static void answer_complete(struct fake *f, struct evhttp_request *req, int poll)
{
    struct json_object *data = json_object_new_object(), *said = json_object_new_object();
    const char *message;
    if (f->takes && poll) {
        json_object_object_add(said, "data", next_job(f, &message));
        json_put_bool(said, "success", 1);
        json_put_str(said, "message", message);
        json_object_object_add(data, "poll", json_object_get(said));
    }
    json_object_put(said);
    answer(req, 200, data, "Job completed");
}

void fake_wake(struct fake *f)
{
    struct evhttp_request *req = f->waiting, *ending = f->ending;
    f->waiting = f->ending = NULL;
    if (req)
        answer_job(f, req);
    if (ending)
        answer_complete(f, ending, 1);
}

/* ---- the endpoints ---- */

static int on_register(struct fake *f, struct evhttp_request *req, struct json_object *body, const char *secret)
{
    char token[32];
    struct json_object *data = json_object_new_object();
    if (strcmp(secret, SECRET) != 0) {
        answer(req, 401, data, "Unauthorized.");
        return 401;
    }
    f->forget_token = 0;
    snprintf(token, sizeof(token), "token-%d", ++f->tokens);
    json_put_str(data, "worker_id", json_str(body, "worker_id", ""));
    json_put_str(data, "token", token);
    answer(req, 200, data, "Worker registered");
    return 200;
}

static void poll_gone(struct evhttp_connection *conn, void *arg)
{
    struct fake *f = arg;
    (void)conn;
    f->waiting = NULL;
}

static int on_poll(struct fake *f, struct evhttp_request *req, struct json_object *body)
{
    struct json_object *capabilities = json_member(body, "capabilities");
    struct json_object *health = capabilities ? json_member(capabilities, "health") : NULL;
    if (health && !json_truth(health, "ok", 1)) {
        answer(req, 200, json_object_new_object(), "Worker unhealthy");
        return 200;
    }
    if (f->next_job < f->n_jobs || f->draining)
        return answer_job(f, req);
    f->waiting = req;
    evhttp_connection_set_closecb(evhttp_request_get_connection(req), poll_gone, f);
    return 200;
}

static int on_lease_call(struct fake *f, struct evhttp_request *req, struct json_object *body)
{
    struct json_object *data = json_object_new_object();
    if (f->lost) {
        answer(req, 404, data, "Lease not found.");
        return 404;
    }
    json_put_str(data, "lease_expires_at", "2030-01-01T00:00:00+00:00");
    json_put_bool(data, "cancel", f->cancel);
    json_put_bool(data, "draining", f->draining);
    if (json_truth(body, "refresh_urls", 0))
        fresh_urls(f, data);
    answer(req, 200, data, "Lease extended");
    return 200;
}

static int on_complete(struct fake *f, struct evhttp_request *req, struct json_object *body)
{
    int status = f->lost ? 404 : f->fail_completes-- > 0 ? 500 : f->refuse_completes-- > 0 ? 422 : 200;
    if (status == 200 && f->hold_completes)
        f->ending = req;
    else if (status == 200)
        answer_complete(f, req, json_member(body, "poll") != NULL);
    if (status == 200)
        return status;
    answer(req, status, NULL, status == 404 ? "Lease not found." : "refused");
    return status;
}

static int is_authorized(struct fake *f, const char *token)
{
    char good[32];
    snprintf(good, sizeof(good), "token-%d", f->tokens);
    return !f->forget_token && !strcmp(token, good);
}

static int serve_api(struct fake *f, struct evhttp_request *req, const char *name, struct json_object *body,
                     const char *token)
{
    if (f->down) {
        answer(req, 503, NULL, "The store is down.");
        return 503;
    }
    if (!strcmp(name, "register"))
        return on_register(f, req, body, token);
    if (!is_authorized(f, token) || f->revoked) {
        answer(req, 401, NULL, f->revoked ? "Worker not approved." : "Unauthorized.");
        return 401;
    }
    if (!strcmp(name, "poll"))
        return on_poll(f, req, body);
    if (!strcmp(name, "heartbeat") || !strcmp(name, "progress"))
        return on_lease_call(f, req, body);
    if (!strcmp(name, "complete"))
        return on_complete(f, req, body);
    int status = f->lost && strcmp(name, "deregister") != 0 ? 404 : 200;
    answer(req, status, NULL, name);
    return status;
}

static const char *bearer(struct evhttp_request *req)
{
    struct evkeyvalq *h = evhttp_request_get_input_headers(req);
    const char *auth = evhttp_find_header(h, "Authorization"), *secret = evhttp_find_header(h, "X-Fleet-Secret");
    if (auth && !strncmp(auth, "Bearer ", 7))
        return auth + 7;
    return secret ? secret : "";
}

static void on_api(struct fake *f, struct evhttp_request *req, const char *name)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(req);
    struct bp_err err;
    size_t n = evbuffer_get_length(in);
    if (f->n_calls == FAKE_CALLS_MAX)
        abort();
    struct fake_call *c = &f->calls[f->n_calls++];
    snprintf(c->name, sizeof(c->name), "%s", name);
    snprintf(c->token, sizeof(c->token), "%s", bearer(req));
    c->body = n ? json_parse((const char *)evbuffer_pullup(in, -1), n, &err) : NULL;
    c->status = serve_api(f, req, name, c->body, c->token);
}

/* ---- objects ---- */

static void serve_object(struct fake *f, struct evhttp_request *req, const char *key)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(req), *out = evbuffer_new();
    struct fake_object *o = fake_object(f, key);
    const char *type = evhttp_find_header(evhttp_request_get_input_headers(req), "Content-Type");
    if (evhttp_request_get_command(req) == EVHTTP_REQ_PUT) {
        size_t n = evbuffer_get_length(in);
        keep_object(f, key, evbuffer_pullup(in, -1), n);
        o = fake_object(f, key);
        o->puts++;
        snprintf(o->type, sizeof(o->type), "%s", type ? type : "");
        evhttp_send_reply(req, 200, NULL, out);
    } else if (o) {
        o->gets++;
        evbuffer_add(out, o->bytes, o->n);
        evhttp_send_reply(req, 200, NULL, out);
    } else {
        evhttp_send_reply(req, 404, NULL, out);
    }
    evbuffer_free(out);
}

static void on_object(struct fake *f, struct evhttp_request *req, const char *path)
{
    char key[64];
    const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(req));
    snprintf(key, sizeof(key), "%s", path);
    if (f->down || f->store_down-- > 0)
        evhttp_send_reply(req, 500, NULL, NULL);
    else if (!query || atoi(query + 2) != f->url_version)
        evhttp_send_reply(req, 403, NULL, NULL);
    else
        serve_object(f, req, key);
}

static void on_request(struct evhttp_request *req, void *arg)
{
    struct fake *f = arg;
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));
    if (!strncmp(path, "/api/worker/", 12))
        on_api(f, req, path + 12);
    else if (!strncmp(path, "/objects/", 9))
        on_object(f, req, path + 9);
    else
        evhttp_send_reply(req, 404, NULL, NULL);
}

struct fake *fake_new(struct loop *l)
{
    struct fake *f = calloc(1, sizeof(*f));
    struct sockaddr_in at = {0};
    socklen_t n = sizeof(at);
    f->loop = l;
    f->url_version = 1;
    f->heartbeat_s = 0.1;
    f->http = evhttp_new(loop_base(l));
    evhttp_set_allowed_methods(f->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PUT);
    evhttp_set_gencb(f->http, on_request, f);
    struct evhttp_bound_socket *s = evhttp_bind_socket_with_handle(f->http, "127.0.0.1", 0);
    if (!s || getsockname(evhttp_bound_socket_get_fd(s), (struct sockaddr *)&at, &n) < 0)
        abort();
    snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%d", ntohs(at.sin_port));
    fake_put_object(f, "photo", "the bytes of a photo");
    return f;
}

void fake_free(struct fake *f)
{
    evhttp_free(f->http);
    for (int i = 0; i < f->n_calls; i++)
        json_object_put(f->calls[i].body);
    for (int i = 0; i < f->n_objects; i++)
        free(f->objects[i].bytes);
    for (int i = 0; i < f->n_jobs; i++)
        json_object_put(f->jobs[i]);
    free(f);
}
