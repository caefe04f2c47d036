/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_client.h"

#include "err.h"
#include "form.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake_call fake_calls[FAKE_CALLS];
int fake_n_calls;

static struct {
    char body[16384], code[64];
    int rc;
} answers[FAKE_CALLS];
static int n_answers, next_answer;

void fake_client_reset(void)
{
    fake_n_calls = n_answers = next_answer = 0;
}

void fake_answer(const char *body, const char *code, int rc)
{
    assert_true(n_answers < FAKE_CALLS);
    snprintf(answers[n_answers].body, sizeof answers[0].body, "%s", body);
    snprintf(answers[n_answers].code, sizeof answers[0].code, "%s", code);
    answers[n_answers++].rc = rc;
}

static int answer(enum aws_op op, const char *form, const char *what, struct reply *r, struct bp_err *err)
{
    memset(r, 0, sizeof *r);
    assert_true(fake_n_calls < FAKE_CALLS);
    fake_calls[fake_n_calls].op = op;
    snprintf(fake_calls[fake_n_calls++].form, sizeof fake_calls[0].form, "%s", form);
    if (next_answer >= n_answers)
        fail_msg("call %d (%s) has no answer", fake_n_calls, form);
    int rc = answers[next_answer].rc;
    const char *body = answers[next_answer].body;
    snprintf(r->error.code, sizeof r->error.code, "%s", answers[next_answer++].code);
    r->status = rc == 0 ? 200 : 400;
    if (rc < 0)
        return err_set(err, rc, "%s failed: %s", what, r->error.code);
    if (body[0] == '{')
        r->json = json_tokener_parse(body);
    else if (body[0])
        r->xml = xml_parse(body, strlen(body), err);
    return 0;
}

int client_query(struct client *c, enum aws_op op, const struct form *f, const char *what, struct reply *r,
                 struct bp_err *err)
{
    size_t n;
    (void)c;
    return answer(op, form_text(f, &n), what, r, err);
}

int client_json(struct client *c, enum aws_op op, struct json_object *in, const char *what, struct reply *r,
                struct bp_err *err)
{
    (void)c;
    return answer(op, json_object_to_json_string_ext(in, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE), what,
                  r, err);
}

void reply_free(struct reply *r)
{
    xml_free(r->xml);
    json_object_put(r->json);
    free(r->body);
    memset(r, 0, sizeof *r);
}
