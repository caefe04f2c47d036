/* SPDX-License-Identifier: Apache-2.0 */
#include "facet_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fake_host *host;

const void *facet_of(const char *id)
{
    return fake_host_facet(host, id);
}

const char *str(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    json_object_object_get_ex(o, name, &v);
    return v ? json_object_get_string(v) : NULL;
}

int64_t num(struct json_object *o, const char *name, int64_t otherwise)
{
    struct json_object *v = NULL;
    json_object_object_get_ex(o, name, &v);
    return v ? json_object_get_int64(v) : otherwise;
}

void give(struct json_object *out, const char *name, const char *text)
{
    json_object_object_add(out, name, text ? json_object_new_string(text) : NULL);
}

static void serve(const char *line)
{
    struct json_object *in = json_tokener_parse(line), *out = json_object_new_object();
    struct bp_err err = {0};
    const char *name = in ? str(in, "call") : NULL;
    int rc = BP_UNSUPPORTED;
    for (const struct facet_call *c = facet_calls; name && c->name; c++)
        if (strcmp(c->name, name) == 0)
            rc = c->fn(fake_host_instance(host), in, out, &err);
    json_object_object_add(out, "rc", json_object_new_int(rc));
    give(out, "text", err.text);
    printf("%s\n", json_object_to_json_string_ext(out, JSON_C_TO_STRING_PLAIN));
    fflush(stdout);
    json_object_put(in);
    json_object_put(out);
}

int main(int argc, char **argv)
{
    struct bp_err err = {0};
    char *line = NULL;
    size_t room = 0;
    if (argc != 4) {
        fprintf(stderr, "usage: %s PLUGIN.so SETTINGS STATE_DIR\n", argv[0]);
        return 2;
    }
    fake_host_verbose(1);
    host = fake_host_open(argv[1], argv[3], argv[2], &err);
    if (!host) {
        fprintf(stderr, "start: %s\n", err.text);
        return 1;
    }
    while (getline(&line, &room, stdin) > 0)
        serve(line);
    fake_host_stop(host);
    free(line);
    return 0;
}
