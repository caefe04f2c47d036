/* SPDX-License-Identifier: Apache-2.0 */
/* rpc.c - one line in, one answer out: JSON-RPC 2.0 when it begins with a brace, plain words otherwise. */
#include "admin_priv.h"

#include "log/err.h"
#include "log/json.h"
#include "log/log.h"
#include "log/utf8.h"
#include <ctype.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 64

/* ---- answers ---- */

static void send_buffer(struct admin_conn *conn, struct evbuffer *b)
{
    size_t n = evbuffer_get_length(b);
    conn_write(conn, (const char *)evbuffer_pullup(b, -1), n);
    evbuffer_free(b);
}

static void send_json(struct admin_conn *conn, struct json_object *answer)
{
    const char *text = json_text(answer);
    conn_write(conn, text, strlen(text));
    conn_write(conn, "\n", 1);
    json_object_put(answer);
}

static struct json_object *envelope(struct admin_call *c)
{
    struct json_object *o = json_object_new_object();
    json_put_str(o, "jsonrpc", "2.0");
    json_object_object_add(o, "id", c->id ? json_object_get(c->id) : NULL);
    return o;
}

static void call_free(struct admin_call *c)
{
    struct admin_conn *conn = c->conn;
    json_object_put(c->id);
    json_object_put(c->params);
    free(c);
    if (!conn)
        return;
    conn->call = NULL;
    conn_resume(conn);
}

static void answer_text(struct admin_call *c, struct json_object *data)
{
    struct evbuffer *b = evbuffer_new();
    text_render(b, c->command, data, loop_now_ms(c->app->loop));
    if (c->plain) {
        send_buffer(c->conn, b);
        return;
    }
    struct json_object *o = envelope(c);
    struct json_object *r = json_object_new_object();
    size_t n = evbuffer_get_length(b);
    json_object_object_add(r, "text", json_object_new_string_len((const char *)evbuffer_pullup(b, -1), (int)n));
    if (json_int(data, "fail", 0) > 0) /* of doctor: for the exit status */
        json_put_int(r, "fail", json_int(data, "fail", 0));
    json_object_object_add(o, "result", r);
    evbuffer_free(b);
    send_json(c->conn, o);
}

void call_ok(struct admin_call *c, struct json_object *data)
{
    if (c->conn && (c->text || c->plain)) {
        answer_text(c, data);
    } else if (c->conn) {
        struct json_object *o = envelope(c);
        json_object_object_add(o, "result", json_object_get(data));
        send_json(c->conn, o);
    }
    json_object_put(data);
    call_free(c);
}

/* "error: sentence" and a line a wrong field. */
static void fail_plain(struct admin_conn *conn, const char *message, struct json_object *fields)
{
    struct evbuffer *b = evbuffer_new();
    char *own = strdup(message);
    if (own)
        utf8_make_harmless(own);
    evbuffer_add_printf(b, "error: %s\n", own ? own : "");
    free(own);
    if (fields && json_object_is_type(fields, json_type_object)) {
        json_object_object_foreach(fields, key, val)
        {
            for (size_t i = 0; json_object_is_type(val, json_type_array) && i < json_object_array_length(val); i++)
                evbuffer_add_printf(b, "  %s: %s\n", key, json_object_get_string(json_object_array_get_idx(val, i)));
        }
    }
    send_buffer(conn, b);
}

void call_fail(struct admin_call *c, int code, const char *message, struct json_object *fields)
{
    if (c->conn && c->plain) {
        fail_plain(c->conn, message, fields);
    } else if (c->conn) {
        struct json_object *o = envelope(c);
        struct json_object *e = json_object_new_object();
        json_put_int(e, "code", code);
        json_put_str(e, "message", message);
        if (fields)
            json_object_object_add(e, "data", json_object_get(fields));
        json_object_object_add(o, "error", e);
        send_json(c->conn, o);
    }
    call_free(c);
}

void call_answer(const struct dispatch_answer *a, void *call)
{
    if (a->rc < 0)
        call_fail(call, a->rc, a->message ? a->message : err_name(a->rc), a->fields);
    else
        call_ok(call, json_object_get(a->data));
}

void call_done(const struct bp_err *err, void *call)
{
    if (err->rc < 0) {
        call_fail(call, err->rc, err->text, NULL);
        return;
    }
    struct json_object *o = json_object_new_object();
    json_put_str(o, "done", ((struct admin_call *)call)->command->name);
    call_ok(call, o);
}

/* ---- requests ---- */

static struct admin_call *call_new(struct admin_conn *conn)
{
    struct admin_call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->conn = conn;
    c->app = conn->admin->app;
    snprintf(c->who, sizeof c->who, "operator:%u", (unsigned)conn->uid);
    conn->call = c;
    return c;
}

static void run(struct admin_call *c)
{
    if (c->command->privilege == ADMIN_WRITE && !c->conn->may_write) {
        call_fail(c, BP_DENIED, "only root and the daemon's own user may do that", NULL);
        return;
    }
    if (c->command->privilege == ADMIN_WRITE)
        log_info(LOG_ADMIN, "%s: %s %s", c->who, c->command->name, json_text(c->params));
    c->command->run(c);
}

/* Splits in place at blanks; "..." and '...' keep blanks. */
static size_t split(char *line, char **words, size_t max)
{
    size_t n = 0;
    char *p = line;
    for (;;) {
        while (isspace((unsigned char)*p))
            p++;
        if (!*p || n == max)
            return n;
        char quote = *p == '"' || *p == '\'' ? *p++ : 0;
        words[n++] = p;
        while (*p && (quote ? *p != quote : !isspace((unsigned char)*p)))
            p++;
        if (*p)
            *p++ = 0;
    }
}

/* Words -> command and params; the whole of a plain request and the "argv" form of JSON-RPC. */
static int take_words(struct admin_call *c, char **words, size_t n, struct bp_err *err)
{
    size_t used = 0;
    c->command = command_find(words, n, &used, err);
    if (!c->command)
        return err->rc;
    c->params = args_from_words(c->command, words + used, n - used, err);
    return c->params ? 0 : err->rc;
}

static void plain_line(struct admin_conn *conn, const char *line)
{
    char *words[WORDS_MAX];
    struct bp_err err = {0};
    char *copy = strdup(line);
    size_t n = copy ? split(copy, words, WORDS_MAX) : 0;
    struct admin_call *c = n ? call_new(conn) : NULL;
    if (c) {
        c->plain = 1;
        if (take_words(c, words, n, &err) < 0)
            call_fail(c, err.rc, err.text, NULL);
        else
            run(c);
    }
    free(copy);
}

/* {"method":"run","params":{"argv":["jobs","--limit","5"],"text":true}}: how bpctl sends what was typed. */
static int take_argv(struct admin_call *c, struct json_object *params, struct bp_err *err)
{
    struct json_object *argv = json_member(params, "argv");
    char *words[WORDS_MAX];
    size_t n = argv && json_object_is_type(argv, json_type_array) ? json_object_array_length(argv) : 0;
    c->text = json_truth(params, "text", 0);
    if (n == 0 || n > WORDS_MAX)
        return err_set(err, RPC_PARAMS, "argv must be an array of 1 to %d words", WORDS_MAX);
    for (size_t i = 0; i < n; i++)
        words[i] = (char *)json_object_get_string(json_object_array_get_idx(argv, i));
    for (size_t i = 0; i < n; i++)
        if (!words[i])
            return err_set(err, RPC_PARAMS, "argv[%zu] is null", i);
    return take_words(c, words, n, err);
}

static int take_method(struct admin_call *c, struct json_object *req, struct bp_err *err)
{
    const char *method = json_str(req, "method", NULL);
    struct json_object *params = json_member(req, "params");
    if (!method)
        return err_set(err, RPC_REQUEST, "not a JSON-RPC 2.0 request: method is missing");
    if (strcmp(method, "run") == 0)
        return take_argv(c, params, err);
    c->command = command_of_method(method, err);
    if (!c->command)
        return err_set(err, RPC_METHOD, "%s", err->text);
    c->params = args_from_object(c->command, params, err);
    return c->params ? 0 : err_set(err, RPC_PARAMS, "%s", err->text);
}

static void json_line(struct admin_conn *conn, const char *line, size_t n)
{
    struct bp_err err = {0};
    struct admin_call *c = call_new(conn);
    struct json_object *req = json_parse(line, n, &err);
    if (!c) {
        json_object_put(req);
        return;
    }
    if (!req || !json_object_is_type(req, json_type_object)) {
        char why[300];
        snprintf(why, sizeof why, "not a JSON object: %s", err.text);
        call_fail(c, RPC_PARSE, why, NULL);
    } else {
        c->id = json_object_get(json_member(req, "id"));
        if (take_method(c, req, &err) < 0)
            call_fail(c, err.rc, err.text, NULL);
        else
            run(c);
    }
    json_object_put(req);
}

void rpc_line(struct admin_conn *c, const char *line, size_t n)
{
    if (strlen(line) != n) {
        conn_write(c, "error: a request must not contain NUL\n", 38);
        return;
    }
    while (isspace((unsigned char)*line)) {
        line++;
        n--;
    }
    if (*line == '{')
        json_line(c, line, n);
    else if (*line)
        plain_line(c, line);
}
