/* SPDX-License-Identifier: Apache-2.0 */
#include "submit.h"

#include "log/err.h"
#include "log/json.h"
#include "log/utf8.h"
#include "transfer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FILES_MAX 16
#define POLL_MS   250

struct submit {
    struct client *client;
    const char *workflow, *effect, *tenant, *key, *unique_key, *not_before, *output;
    struct json_object *after; /* ids, or NULL */
    const char *files[FILES_MAX];
    int n_files, wait, json;
    long priority;
    struct json_object *params;
    struct json_object *fields; /* of the last refusal */
};

void submit_help(FILE *out)
{
    fputs("Usage: bpctl submit WORKFLOW [FILE]... [OPTION]...\n"
          "Uploads the files, submits a job, and prints its number.\n\n"
          "  -p, --param NAME=VALUE  a param of the job; VALUE is JSON where it parses, else text\n"
          "      --params JSON       all params as one object\n"
          "      --effect            WORKFLOW names an effect\n"
          "      --priority N        -1000 to 1000, high first (0)\n"
          "      --key TEXT          idempotency key: the same key and content is the same job\n"
          "      --unique-key TEXT   while a job with this key is pending, that job is the answer\n"
          "      --after N[,N]...    jobs that must have completed first; may be given again\n"
          "      --not-before TIME   2026-01-31T12:00:00Z, or milliseconds since 1970\n"
          "      --tenant NAME       whose job it is (local)\n"
          "  -w, --wait              follow it to its end with a progress bar\n"
          "  -o, --output FILE       download the output to FILE (implies --wait); - for standard output\n",
          out);
}

/* ---- options ---- */

static int usage(const char *what, const char *word)
{
    fprintf(stderr, "bpctl: submit: %s %s; see bpctl submit --help\n", what, word);
    return 2;
}

static int take_param(struct submit *s, const char *text)
{
    const char *eq = strchr(text, '=');
    char name[128];
    if (!eq || eq == text || (size_t)(eq - text) >= sizeof name)
        return usage("write a parameter as NAME=VALUE:", text);
    snprintf(name, sizeof name, "%.*s", (int)(eq - text), text);
    struct bp_err err;
    struct json_object *v = json_parse(eq + 1, strlen(eq + 1), &err);
    json_object_object_add(s->params, name, v ? v : json_object_new_string(eq + 1));
    return 0;
}

static int take_params(struct submit *s, const char *text)
{
    struct bp_err err;
    struct json_object *o = json_parse(text, strlen(text), &err);
    if (!o || !json_object_is_type(o, json_type_object)) {
        json_object_put(o);
        return usage("--params is not a JSON object:", text);
    }
    json_object_put(s->params);
    s->params = o;
    return 0;
}

static int take_priority(struct submit *s, const char *text)
{
    char *end;
    s->priority = strtol(text, &end, 10);
    return *end || end == text || s->priority < -1000 || s->priority > 1000
               ? usage("--priority is not -1000 to 1000:", text)
               : 0;
}

/* "12,13": added to the ids that are there. */
static int take_after(struct submit *s, const char *text)
{
    char *end;
    if (!s->after)
        s->after = json_object_new_array();
    for (const char *p = text;; p = end + 1) {
        long long id = strtoll(p, &end, 10);
        if (end == p || id <= 0 || (*end && *end != ','))
            return usage("--after is no list of job numbers:", text);
        json_object_array_add(s->after, json_object_new_int64(id));
        if (!*end)
            return 0;
    }
}

static int is(const char *arg, const char *name, const char *letter)
{
    return strcmp(arg, name) == 0 || (letter && strcmp(arg, letter) == 0);
}

/* An option with a value. 0, or the exit status. */
static int take_valued(struct submit *s, const char *name, const char *value)
{
    if (is(name, "--param", "-p"))
        return take_param(s, value);
    if (is(name, "--params", NULL))
        return take_params(s, value);
    if (is(name, "--priority", NULL))
        return take_priority(s, value);
    if (is(name, "--after", NULL))
        return take_after(s, value);
    if (is(name, "--unique-key", NULL))
        s->unique_key = value;
    else if (is(name, "--not-before", NULL))
        s->not_before = value;
    else if (is(name, "--key", NULL))
        s->key = value;
    else if (is(name, "--tenant", NULL))
        s->tenant = value;
    else if (is(name, "--output", "-o"))
        s->output = value;
    else
        return usage("unknown option", name);
    return 0;
}

static int take_word(struct submit *s, const char *word)
{
    if (!s->workflow)
        s->workflow = word;
    else if (s->n_files < FILES_MAX)
        s->files[s->n_files++] = word;
    else
        return usage("too many files:", word);
    return 0;
}

static int parse(struct submit *s, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        int rc = 0;
        if (is(argv[i], "--wait", "-w"))
            s->wait = 1;
        else if (is(argv[i], "--effect", NULL))
            s->effect = "";
        else if (argv[i][0] != '-' || !argv[i][1])
            rc = take_word(s, argv[i]);
        else if (i + 1 >= argc)
            rc = usage("no value for", argv[i]);
        else {
            rc = take_valued(s, argv[i], argv[i + 1]);
            i++;
        }
        if (rc)
            return rc;
    }
    if (!s->workflow)
        return usage("missing", "WORKFLOW");
    if (s->output)
        s->wait = 1;
    return 0;
}

/* ---- the steps ---- */

static struct json_object *with_tenant(const struct submit *s, struct json_object *body)
{
    struct json_object *params = json_object_new_object();
    json_object_object_add(params, "body", body);
    if (s->tenant)
        json_put_str(params, "tenant", s->tenant);
    return params;
}

static int upload(struct submit *s, const char *path, struct json_object *inputs, struct bp_err *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const char *mime = transfer_mime(path);
    if (access(path, R_OK) < 0)
        return err_set(err, BP_IO, "cannot read %s", path);
    struct json_object *body = json_object_new_object();
    json_put_str(body, "name", name);
    json_put_str(body, "mime", mime);
    struct json_object *r = client_call(s->client, "upload", with_tenant(s, body), &s->fields, err);
    if (!r)
        return err->rc;
    int rc = transfer_put(json_str(r, "upload_url", ""), path, mime, err);
    if (rc == 0) {
        struct json_object *in = json_object_new_object();
        json_put_str(in, "key", json_str(r, "key", ""));
        json_put_str(in, "mime", mime);
        json_put_str(in, "name", name);
        json_object_array_add(inputs, in);
    }
    json_object_put(r);
    return rc;
}

static struct json_object *send_job(struct submit *s, struct bp_err *err)
{
    struct json_object *body = json_object_new_object();
    struct json_object *inputs = json_object_new_array();
    for (int i = 0; i < s->n_files; i++)
        if (upload(s, s->files[i], inputs, err) < 0) {
            json_object_put(inputs);
            json_object_put(body);
            return NULL;
        }
    json_put_str(body, s->effect ? "effect" : "workflow", s->workflow);
    json_object_object_add(body, "params", json_object_get(s->params));
    if (s->n_files)
        json_object_object_add(body, "inputs", inputs);
    else
        json_object_put(inputs);
    if (s->priority)
        json_put_int(body, "priority", s->priority);
    if (s->key)
        json_put_str(body, "idempotency_key", s->key);
    if (s->unique_key)
        json_put_str(body, "unique_key", s->unique_key);
    if (s->not_before)
        json_put_str(body, "not_before", s->not_before);
    if (s->after)
        json_object_object_add(body, "after", json_object_get(s->after));
    return client_call(s->client, "submit", with_tenant(s, body), &s->fields, err);
}

static struct json_object *get_job(struct submit *s, int64_t id, struct bp_err *err)
{
    struct json_object *params = json_object_new_object();
    json_put_int(params, "id", id);
    return client_call(s->client, "job", params, &s->fields, err);
}

static void draw(const struct json_object *job_, int last)
{
    struct json_object *job = (struct json_object *)job_;
    double p = json_num(job, "progress", 0);
    char text[160]; /* a worker's words, on a terminal */
    int full = (int)(p * 30 + 0.5);
    if (!isatty(STDERR_FILENO))
        return;
    snprintf(text, sizeof text, "%s", json_str(job, "progress_text", ""));
    utf8_make_harmless(text);
    fprintf(stderr, "\r[%.*s%.*s] %3.0f%%  %-10s %-36.36s%s", full, "##############################", 30 - full,
            "..............................", p * 100, json_str(job, "status", ""), text, last ? "\n" : "");
    fflush(stderr);
}

static int is_final(const char *status)
{
    return strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0 || strcmp(status, "cancelled") == 0;
}

/* Follows the job to its end; the last state, or NULL with err. */
static struct json_object *follow(struct submit *s, int64_t id, struct bp_err *err)
{
    const struct timespec pause = {0, POLL_MS * 1000000L};
    for (;;) {
        struct json_object *job = get_job(s, id, err);
        if (!job)
            return NULL;
        int final = is_final(json_str(job, "status", ""));
        draw(job, final);
        if (final)
            return job;
        json_object_put(job);
        nanosleep(&pause, NULL);
    }
}

static int finish(struct submit *s, struct json_object *job, struct bp_err *err)
{
    const char *status = json_str(job, "status", "");
    const char *url = json_str(json_member(job, "output"), "url", NULL);
    if (strcmp(status, "completed") != 0) {
        err_set(err, BP_FAIL, "job %lld %s: %s", (long long)json_int(job, "id", 0), status,
                json_str(job, "error", "no reason given"));
        utf8_make_harmless(err->text);
        return err->rc;
    }
    if (!s->output)
        return 0;
    if (!url)
        return err_set(err, BP_NOTFOUND, "the job has no output to download");
    return transfer_get(url, s->output, err);
}

static void print_refusal(const struct submit *s, const struct bp_err *err)
{
    fprintf(stderr, "bpctl: %s\n", err->text);
    client_print_fields(s->fields, stderr);
}

static const char *existed(struct json_object *job)
{
    return json_truth(job, "duplicate", 0)  ? " (pending already)"
           : json_truth(job, "replayed", 0) ? " (submitted before)"
                                            : "";
}

static int run(struct submit *s)
{
    struct bp_err err = {0};
    struct json_object *job = send_job(s, &err);
    int rc = job ? 0 : err.rc;
    int64_t id = json_int(job, "id", 0);
    if (job && s->wait) {
        json_object_put(job);
        job = follow(s, id, &err);
        rc = job ? finish(s, job, &err) : err.rc;
    }
    if (job && s->json)
        printf("%s\n", json_text(job));
    else if (job && rc == 0 && !(s->output && strcmp(s->output, "-") == 0))
        printf("job %lld %s%s%s%s\n", (long long)id, json_str(job, "status", ""), existed(job), s->output ? ": " : "",
               s->output ? s->output : "");
    if (rc < 0)
        print_refusal(s, &err);
    json_object_put(job);
    return rc < 0 ? 1 : 0;
}

int submit_main(struct client *c, int argc, char **argv, int json)
{
    struct submit s = {.client = c, .json = json, .params = json_object_new_object()};
    int rc = parse(&s, argc, argv);
    if (rc == 0)
        rc = run(&s);
    json_object_put(s.params);
    json_object_put(s.after);
    json_object_put(s.fields);
    return rc;
}
