/* SPDX-License-Identifier: Apache-2.0 */
#include "rollout.h"

#include "log/err.h"
#include "log/json.h"
#include "log/utf8.h"

#include <json-c/json.h>
#include <string.h>
#include <unistd.h>

#define ASK_EVERY_S 2

/* Runs `ami rollout WORKFLOW... [extra]`. */
static struct json_object *run(struct client *c, int argc, char **argv, const char *extra, struct bp_err *err)
{
    struct json_object *params = json_object_new_object(), *words = json_object_new_array();
    json_object_array_add(words, json_object_new_string("ami"));
    json_object_array_add(words, json_object_new_string("rollout"));
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--json") != 0 && !(extra && strcmp(argv[i], extra) == 0))
            json_object_array_add(words, json_object_new_string(argv[i]));
    if (extra)
        json_object_array_add(words, json_object_new_string(extra));
    json_object_object_add(params, "argv", words);
    return client_call(c, "run", params, NULL, err);
}

static void show(struct json_object *o, int json)
{
    char reason[300];
    if (json) {
        printf("%s\n", json_text(o));
        fflush(stdout);
        return;
    }
    snprintf(reason, sizeof reason, "%s", json_str(o, "reason", ""));
    utf8_make_harmless(reason);
    printf("%s, %lld %%", json_str(o, "status", "unknown"), (long long)json_int(o, "percent", 0));
    if (json_int(o, "left", 0) > 0)
        printf(", %lld to replace", (long long)json_int(o, "left", 0));
    if (json_int(o, "old", 0) > 0)
        printf(", %lld old instances there", (long long)json_int(o, "old", 0));
    printf("%s%s\n", reason[0] ? ": " : "", reason);
    fflush(stdout);
}

static int differs(struct json_object *a, struct json_object *b)
{
    return !b || !json_object_equal(a, b);
}

int rollout_follow(struct client *c, int argc, char **argv, int json)
{
    struct bp_err err = {0};
    struct json_object *last = NULL, *o = run(c, argc, argv, NULL, &err);
    if (!o && err.rc == BP_CONFLICT) { /* one is under way: follow that */
        err = (struct bp_err){0};
        o = run(c, argc, argv, "--status", &err);
    }
    while (o) {
        if (differs(o, last))
            show(o, json);
        json_object_put(last);
        last = o;
        if (!json_truth(o, "running", 0))
            break;
        sleep(ASK_EVERY_S);
        o = run(c, argc, argv, "--status", &err);
    }
    int ok = o && strcmp(json_str(o, "status", ""), "successful") == 0;
    if (!o)
        fprintf(stderr, "bpctl: %s\n", err.text);
    json_object_put(last);
    return ok ? 0 : 1;
}
