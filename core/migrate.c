/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate.h"

#include "log/err.h"
#include "log/json.h"
#include <bp/queue.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* "2026-11-25T23:50:38Z", or "-". */
static const char *when(int64_t ms, char out[32])
{
    struct tm tm;
    time_t t = ms / 1000;
    snprintf(out, 32, "-");
    if (ms > 0 && gmtime_r(&t, &tm))
        strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out;
}

static void print_step(struct json_object *step)
{
    char at[32];
    const char *state = json_truth(step, "now", 0) ? "applied now" : json_str(step, "state", "");
    printf("  %3lld  %-24s %-12s %-21s %s\n", (long long)json_int(step, "version", 0), json_str(step, "name", ""),
           state, when(json_int(step, "applied_ms", 0), at), json_str(step, "checksum", ""));
    if (json_str(step, "sql", NULL))
        printf("\n%s\n", json_str(step, "sql", ""));
}

static int is_pending(struct json_object *step)
{
    return strcmp(json_str(step, "state", ""), "pending") == 0;
}

/* Calls fn for each step (NULL: nobody); returns how many are pending. */
static int each_step(struct json_object *database, void (*fn)(struct json_object *step))
{
    int pending = 0;
    struct json_object *steps = json_member(database, "steps");
    size_t n = json_object_is_type(steps, json_type_array) ? json_object_array_length(steps) : 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *step = json_object_array_get_idx(steps, i);
        pending += is_pending(step);
        if (fn)
            fn(step);
    }
    return pending;
}

static int each_database(struct json_object *report, int print)
{
    int pending = 0;
    struct json_object *databases = json_member(report, "databases");
    size_t n = json_object_is_type(databases, json_type_array) ? json_object_array_length(databases) : 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *database = json_object_array_get_idx(databases, i);
        if (print)
            printf("%s\n", json_str(database, "where", ""));
        pending += each_step(database, print ? print_step : NULL);
    }
    return pending;
}

static void print_text(const struct options *o, struct json_object *report)
{
    int pending = each_database(report, 1);
    if (json_str(report, "message", NULL))
        printf("%s\n", json_str(report, "message", ""));
    if (pending)
        printf("%d step%s pending; apply with: bpctl migrate %s\n", pending, pending == 1 ? " is" : "s are",
               o->migrate);
    else if (json_object_array_length(json_member(report, "databases")) > 0)
        printf("The schema is up to date.\n");
}

static void print_json(const struct options *o, struct json_object *report, int pending)
{
    json_put_str(report, "target", o->migrate);
    json_put_int(report, "pending", pending);
    printf("%s\n", json_object_to_json_string_ext(report, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
}

static int complain(const struct options *o, const struct bp_err *err)
{
    struct json_object *answer = json_object_new_object();
    fprintf(stderr, "bpd: migrate %s: %s\n", o->migrate, err->text);
    json_put_str(answer, "error", err->text);
    json_put_str(answer, "code", err_name(err->rc));
    if (o->json)
        printf("%s\n", json_text(answer));
    json_object_put(answer);
    return 1;
}

int migrate_main(const struct options *o, const struct config *c)
{
    char *text = NULL;
    struct bp_err err = {0};
    struct bp_migrate what = {
        .size = sizeof what, .mode = o->migrate_mode ? o->migrate_mode : BP_MIGRATE_APPLY, .target = o->migrate};
    if (migrate_queue(o, c, &what, &text, &err) < 0)
        return complain(o, &err);
    struct json_object *report = text ? json_parse(text, strlen(text), &err) : NULL;
    free(text);
    if (!report || !json_object_is_type(json_member(report, "databases"), json_type_array)) {
        json_object_put(report);
        err_set(&err, BP_FAIL, "the queue plugin gave no report that can be read");
        return complain(o, &err);
    }
    int pending = each_database(report, 0);
    if (o->json)
        print_json(o, report, pending);
    else
        print_text(o, report);
    json_object_put(report);
    return fflush(stdout) != 0 ? 1 : pending ? MIGRATE_PENDING : 0;
}
