/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aws_call.c - single calls of the AWS plugin's client, one JSON line in, one out:
 *
 *   aws_call SETTINGS STATE_DIR
 *   {"call":"op","op":"autoscaling:SetDesiredCapacity","form":{"DesiredCapacity":"1"}}
 *                                  -> {"rc":0,"text":"","status":200,"code":"","body":"<Set..."}
 *   {"call":"op","op":"ssm:GetParameter","json":{"Name":"/a"}}
 *   {"call":"many","threads":8, ...as op}   -> the same call on so many threads at once: {"rcs":[0,...]}
 *   {"call":"who"}                 -> the credentials in use: {"key_id":...,"source":...,"expires_ms":...,"serial":1}
 *   {"call":"imds","path":"/..."}  -> {"body":...}
 *   {"call":"calls"}               -> attempts by operation: {"sts:GetCallerIdentity":2,...}
 *
 * The plugin is linked in; its log goes to standard error. The wall clock may be moved: fake_clock.c.
 */
#include "aws.h"
#include "client.h"
#include "credentials.h"
#include "form.h"
#include "imds.h"

#include <json-c/json.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS_MAX 64

extern const struct bp_plugin bp_plugin_v1;

static const char *settings, *state_dir;

/* ---- a host ---- */

static void host_log(struct bp_self *self, int32_t level, const char *fmt, ...) BP_PRINTF(3, 4);

static void host_log(struct bp_self *self, int32_t level, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    (void)self;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    fprintf(stderr, "%d %s\n", level, line);
}

static int64_t host_now(struct bp_self *self)
{
    struct timespec t;
    (void)self;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static const char *host_config(struct bp_self *self)
{
    (void)self;
    return settings;
}

static const char *host_state_dir(struct bp_self *self)
{
    (void)self;
    return state_dir;
}

static void *host_alloc(size_t n)
{
    return calloc(1, n);
}

static const struct bp_host host = {.size = sizeof host,
                                    .abi = BP_ABI_VERSION,
                                    .log = host_log,
                                    .now_ms = host_now,
                                    .config = host_config,
                                    .state_dir = host_state_dir,
                                    .alloc = host_alloc,
                                    .free = free};

/* ---- calls ---- */

static struct json_object *member(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    json_object_object_get_ex(o, name, &v);
    return v;
}

static const char *str(struct json_object *o, const char *name)
{
    return member(o, name) ? json_object_get_string(member(o, name)) : "";
}

static void give(struct json_object *out, const char *name, const char *text)
{
    json_object_object_add(out, name, json_object_new_string(text ? text : ""));
}

static enum aws_op op_named(const char *name)
{
    for (int op = 0; op < AWS_N_OPS; op++)
        if (strcmp(aws_op_name((enum aws_op)op), name) == 0)
            return (enum aws_op)op;
    return AWS_N_OPS;
}

static int query(struct aws *a, enum aws_op op, struct json_object *fields, struct reply *r, struct bp_err *err)
{
    struct form *f = form_new();
    if (fields) {
        json_object_object_foreach(fields, name, value) form_put(f, json_object_get_string(value), "%s", name);
    }
    int rc = client_query(a->client, op, f, "what is asked for", r, err);
    form_free(f);
    return rc;
}

static int send_op(struct aws *a, struct json_object *in, struct reply *r, struct bp_err *err)
{
    enum aws_op op = op_named(str(in, "op"));
    if (op == AWS_N_OPS)
        return BP_UNSUPPORTED;
    return member(in, "json") ? client_json(a->client, op, member(in, "json"), "what is asked for", r, err)
                              : query(a, op, member(in, "form"), r, err);
}

static int call_op(struct aws *a, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    struct reply r = {0};
    int rc = send_op(a, in, &r, err);
    json_object_object_add(out, "status", json_object_new_int(r.status));
    give(out, "code", r.error.code);
    give(out, "request_id", r.error.request_id[0] ? r.error.request_id : r.request_id);
    give(out, "body", r.body);
    reply_free(&r);
    return rc;
}

struct one {
    struct aws *a;
    struct json_object *in;
    int rc;
};

static void *run_one(void *arg)
{
    struct one *o = arg;
    struct reply r = {0};
    struct bp_err err = {0};
    o->rc = send_op(o->a, o->in, &r, &err);
    reply_free(&r);
    return NULL;
}

static int call_many(struct aws *a, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    pthread_t threads[THREADS_MAX];
    struct one ones[THREADS_MAX];
    struct json_object *rcs = json_object_new_array();
    int n = json_object_get_int(member(in, "threads"));
    (void)err;
    for (int i = 0; i < n && i < THREADS_MAX; i++) {
        ones[i] = (struct one){a, in, 0};
        pthread_create(&threads[i], NULL, run_one, &ones[i]);
    }
    for (int i = 0; i < n && i < THREADS_MAX; i++) {
        pthread_join(threads[i], NULL);
        json_object_array_add(rcs, json_object_new_int(ones[i].rc));
    }
    json_object_object_add(out, "rcs", rcs);
    return 0;
}

static int call_who(struct aws *a, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    struct aws_creds c = {0};
    (void)in;
    int rc = creds_get(a->credentials, &c, err);
    give(out, "key_id", c.key_id);
    give(out, "source", c.source);
    json_object_object_add(out, "expires_ms", json_object_new_int64(c.expires_ms));
    json_object_object_add(out, "serial", json_object_new_int64((int64_t)c.serial));
    return rc;
}

static int call_imds(struct aws *a, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    char body[16384] = "";
    size_t n = 0;
    int rc = imds_get(a->imds, str(in, "path"), body, sizeof body, &n, err);
    give(out, "body", rc == 0 ? body : "");
    return rc;
}

static int call_calls(struct aws *a, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    (void)in, (void)err;
    for (int op = 0; op < AWS_N_OPS; op++)
        json_object_object_add(out, aws_op_name((enum aws_op)op),
                               json_object_new_int64((int64_t)client_calls(a->client, (enum aws_op)op)));
    return 0;
}

static const struct {
    const char *name;
    int (*fn)(struct aws *a, struct json_object *in, struct json_object *out, struct bp_err *err);
} calls[] = {
    {"op", call_op}, {"many", call_many}, {"who", call_who}, {"imds", call_imds}, {"calls", call_calls},
};

static void serve(struct aws *a, const char *line)
{
    struct json_object *in = json_tokener_parse(line), *out = json_object_new_object();
    struct bp_err err = {0};
    int rc = BP_UNSUPPORTED;
    for (size_t i = 0; in && i < sizeof calls / sizeof calls[0]; i++)
        if (strcmp(calls[i].name, str(in, "call")) == 0)
            rc = calls[i].fn(a, in, out, &err);
    json_object_object_add(out, "rc", json_object_new_int(rc));
    give(out, "text", err.text);
    printf("%s\n", json_object_to_json_string_ext(out, JSON_C_TO_STRING_PLAIN));
    fflush(stdout);
    json_object_put(in);
    json_object_put(out);
}

int main(int argc, char **argv)
{
    void *inst = NULL;
    char *line = NULL;
    size_t room = 0;
    struct bp_err err = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: aws_call SETTINGS STATE_DIR\n");
        return 2;
    }
    settings = argv[1];
    state_dir = argv[2];
    if (bp_plugin_v1.start(NULL, &host, &inst, &err) < 0) {
        fprintf(stderr, "start: %s\n", err.text);
        return 1;
    }
    while (getline(&line, &room, stdin) > 0)
        serve(inst, line);
    bp_plugin_v1.stop(inst);
    free(line);
    return 0;
}
