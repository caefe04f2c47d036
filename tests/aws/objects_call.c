/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objects_call.c - calls of a cloud plugin's objects, params and node, one JSON line in, one out:
 *
 *   aws_objects_call PLUGIN.so SETTINGS STATE_DIR
 *   {"call":"put","key":"a","mime":"text/plain","path":"/x"}   ->  {"rc":0,"text":""}
 *   {"call":"list","prefix":"a/","after":"a/b","n":10}         ->  {"rc":0,"text":"","objects":[{"key":...}]}
 *
 * rc is the facet's own; text its error. Lines of the plugin's log go to standard error.
 */
#include "queue_conformance/fake_host.h"
#include <bp/cloud.h>

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX 2000

struct plugin {
    void *inst;
    const struct bp_objects *objects;
    const struct bp_params *params;
    const struct bp_node *node;
};

/* ---- calls ---- */

static const char *str(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    json_object_object_get_ex(o, name, &v);
    return v ? json_object_get_string(v) : NULL;
}

static int64_t num(struct json_object *o, const char *name, int64_t otherwise)
{
    struct json_object *v = NULL;
    json_object_object_get_ex(o, name, &v);
    return v ? json_object_get_int64(v) : otherwise;
}

static void give(struct json_object *out, const char *name, const char *text)
{
    json_object_object_add(out, name, text ? json_object_new_string(text) : NULL);
}

static struct json_object *info_json(const struct bp_object_info *i)
{
    struct json_object *o = json_object_new_object();
    give(o, "key", i->key);
    give(o, "mime", i->mime);
    json_object_object_add(o, "bytes", json_object_new_int64(i->bytes));
    json_object_object_add(o, "modified_ms", json_object_new_int64(i->modified_ms));
    return o;
}

static int call_presign(struct plugin *p, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    char *url = NULL;
    int rc = p->objects->presign(p->inst, str(in, "method"), str(in, "key"), str(in, "mime"), 0,
                                 (int32_t)num(in, "ttl", 900), &url, err);
    give(out, "url", url);
    fake_host_free(url);
    return rc;
}

static int call_put(struct plugin *p, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    (void)out;
    return p->objects->put(p->inst, str(in, "key"), str(in, "mime"), str(in, "path"), err);
}

static int call_put_new(struct plugin *p, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    (void)out;
    return p->objects->put_new(p->inst, str(in, "key"), str(in, "mime"), str(in, "path"), err);
}

static int call_get(struct plugin *p, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    (void)out;
    return p->objects->get(p->inst, str(in, "key"), str(in, "path"), err);
}

static int call_head(struct plugin *p, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    struct bp_object_info info = {0};
    int rc = p->objects->head(p->inst, str(in, "key"), &info, err);
    json_object_object_add(out, "object", info_json(&info));
    return rc;
}

static int call_remove(struct plugin *p, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    (void)out;
    return p->objects->remove(p->inst, str(in, "key"), err);
}

static int call_list(struct plugin *p, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    static struct bp_object_info infos[LIST_MAX];
    struct json_object *list = json_object_new_array();
    uint32_t n = (uint32_t)num(in, "n", LIST_MAX);
    int rc = p->objects->list(p->inst, str(in, "prefix"), str(in, "after"), infos, &n, err);
    for (uint32_t i = 0; i < n; i++)
        json_object_array_add(list, info_json(&infos[i]));
    json_object_object_add(out, "objects", list);
    return rc;
}

static int call_param(struct plugin *p, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    char *value = NULL;
    int rc = (num(in, "fresh", 0) ? p->params->get_fresh : p->params->get)(p->inst, str(in, "name"), &value, err);
    give(out, "value", value);
    fake_host_free(value);
    return rc;
}

static int call_param_put(struct plugin *p, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    (void)out;
    return p->params->put(p->inst, str(in, "name"), str(in, "value"), (int32_t)num(in, "secret", 1), err);
}

static int call_identity(struct plugin *p, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    struct bp_node_identity id = {0};
    (void)in;
    int rc = p->node->identity(p->inst, &id, err);
    give(out, "instance_id", id.instance_id);
    give(out, "instance_type", id.instance_type);
    give(out, "zone", id.zone);
    give(out, "capacity_type", id.capacity_type);
    return rc;
}

static int call_notice(struct plugin *p, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    int32_t kind = 0;
    int64_t deadline_ms = 0;
    (void)in;
    int rc = p->node->notice(p->inst, &kind, &deadline_ms, err);
    json_object_object_add(out, "kind", json_object_new_int(kind));
    json_object_object_add(out, "deadline_ms", json_object_new_int64(deadline_ms));
    return rc;
}

static int call_ending(struct plugin *p, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    (void)out;
    return BP_HAS(p->node, ending) ? p->node->ending(p->inst, (int32_t)num(in, "done", 0), err) : BP_UNSUPPORTED;
}

static const struct {
    const char *name;
    int (*fn)(struct plugin *p, struct json_object *in, struct json_object *out, struct bp_err *err);
} calls[] = {
    {"presign", call_presign},     {"put", call_put},           {"put_new", call_put_new}, {"get", call_get},
    {"head", call_head},           {"remove", call_remove},     {"list", call_list},       {"param", call_param},
    {"param_put", call_param_put}, {"identity", call_identity}, {"notice", call_notice},   {"ending", call_ending},
};

static void serve(struct plugin *p, const char *line)
{
    struct json_object *in = json_tokener_parse(line), *out = json_object_new_object();
    struct bp_err err = {0};
    const char *name = in ? str(in, "call") : NULL;
    int rc = BP_UNSUPPORTED;
    for (size_t i = 0; name && i < sizeof calls / sizeof calls[0]; i++)
        if (strcmp(calls[i].name, name) == 0)
            rc = calls[i].fn(p, in, out, &err);
    json_object_object_add(out, "rc", json_object_new_int(rc));
    give(out, "text", err.text);
    printf("%s\n", json_object_to_json_string_ext(out, JSON_C_TO_STRING_PLAIN));
    fflush(stdout);
    json_object_put(in);
    json_object_put(out);
}

int main(int argc, char **argv)
{
    struct plugin p = {0};
    struct bp_err err = {0};
    char *line = NULL;
    size_t room = 0;
    if (argc != 4) {
        fprintf(stderr, "usage: aws_objects_call PLUGIN.so SETTINGS STATE_DIR\n");
        return 2;
    }
    fake_host_verbose(1);
    struct fake_host *h = fake_host_open(argv[1], argv[3], argv[2], &err);
    if (!h) {
        fprintf(stderr, "start: %s\n", err.text);
        return 1;
    }
    p.inst = fake_host_instance(h);
    p.objects = fake_host_facet(h, BP_OBJECTS_FACET);
    p.params = fake_host_facet(h, BP_PARAMS_FACET);
    p.node = fake_host_facet(h, BP_NODE_FACET);
    while (getline(&line, &room, stdin) > 0)
        serve(&p, line);
    fake_host_stop(h);
    free(line);
    return 0;
}
