/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_client.h"

#include "cm.h"
#include "err.h"
#include "form.h"
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALLS_MAX   4096
#define ANSWERS_MAX 64

void (*fake_client_on_call)(void);
static struct {
    enum aws_op op;
    char *request;
} calls[CALLS_MAX];
static int n_calls;
static struct {
    struct fake_answer a;
    int times;
} answers[ANSWERS_MAX];
static int first_answer, n_answers;

void fake_client_reset(void)
{
    for (int i = 0; i < n_calls; i++)
        free(calls[i].request);
    n_calls = first_answer = n_answers = 0;
    fake_client_on_call = NULL;
}

void fake_client_say(struct fake_answer a, int times)
{
    assert_true(n_answers < ANSWERS_MAX);
    answers[n_answers].a = a;
    answers[n_answers++].times = times;
}

int fake_client_calls(void)
{
    return n_calls;
}

enum aws_op fake_client_op(int i)
{
    assert_true(i < n_calls);
    return calls[i].op;
}

const char *fake_client_request(int i)
{
    assert_true(i < n_calls);
    return calls[i].request;
}

int fake_client_count(enum aws_op op)
{
    int n = 0;
    for (int i = 0; i < n_calls; i++)
        n += calls[i].op == op;
    return n;
}

static int answer(enum aws_op op, const char *request, const char *what, struct reply *r, struct bp_err *err)
{
    struct bp_err ignored;
    memset(r, 0, sizeof *r);
    assert_true(n_calls < CALLS_MAX);
    calls[n_calls].op = op;
    calls[n_calls++].request = strdup(request);
    if (fake_client_on_call)
        fake_client_on_call();
    if (first_answer == n_answers)
        return 0;
    struct fake_answer a = answers[first_answer].a;
    if (--answers[first_answer].times == 0)
        first_answer++;
    r->status = r->error.http_status = a.status;
    r->unsure = a.unsure;
    if (a.code)
        snprintf(r->error.code, sizeof r->error.code, "%s", a.code);
    if (a.body && a.body[0] == '<')
        r->xml = xml_parse(a.body, strlen(a.body), &ignored);
    else if (a.body)
        r->json = json_tokener_parse(a.body);
    return a.rc < 0 ? err_set(err, a.rc, "call of %s failed: %s", what, a.code ? a.code : "no answer") : 0;
}

int client_query(struct client *c, enum aws_op op, const struct form *f, const char *what, struct reply *r,
                 struct bp_err *err)
{
    (void)c;
    assert_false(form_failed(f));
    return answer(op, form_text(f, NULL), what, r, err);
}

int client_json(struct client *c, enum aws_op op, struct json_object *in, const char *what, struct reply *r,
                struct bp_err *err)
{
    (void)c;
    return answer(op, json_object_to_json_string_ext(in, JSON_C_TO_STRING_PLAIN), what, r, err);
}

void client_hurry(int32_t ms)
{
    (void)ms;
}

void reply_free(struct reply *r)
{
    xml_free(r->xml);
    json_object_put(r->json);
    memset(r, 0, sizeof *r);
}

/* ---- the background ---- */

struct background {
    int64_t (*step)(void *arg);
    void *arg;
    int wakes;
};
static struct background now;

struct background *background_start(int64_t (*step)(void *arg), void *arg, struct bp_err *err)
{
    (void)err;
    now = (struct background){step, arg, 0};
    return &now;
}

void background_wake(struct background *b)
{
    b->wakes++;
}

void background_stop(struct background *b, int64_t drain_ms)
{
    (void)b, (void)drain_ms;
}

int64_t fake_background_step(void)
{
    return now.step(now.arg);
}

int fake_background_wakes(void)
{
    return now.wakes;
}
