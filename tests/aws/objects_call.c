/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objects_call.c - calls of a cloud plugin's objects, params and node:
 *
 *   {"call":"put","key":"a","mime":"text/plain","path":"/x"}   ->  {"rc":0,"text":""}
 *   {"call":"list","prefix":"a/","after":"a/b","n":10}         ->  {"rc":0,"text":"","objects":[{"key":...}]}
 */
#include "facet_call.h"
#include <bp/cloud.h>

#define LIST_MAX 2000

static const struct bp_objects *objects(void)
{
    return facet_of(BP_OBJECTS_FACET);
}

static const struct bp_params *params(void)
{
    return facet_of(BP_PARAMS_FACET);
}

static const struct bp_node *node(void)
{
    return facet_of(BP_NODE_FACET);
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

static int call_presign(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    char *url = NULL;
    int rc = objects()->presign(inst, str(in, "method"), str(in, "key"), str(in, "mime"), 0,
                                (int32_t)num(in, "ttl", 900), &url, err);
    give(out, "url", url);
    fake_host_free(url);
    return rc;
}

static int call_put(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    (void)out;
    return objects()->put(inst, str(in, "key"), str(in, "mime"), str(in, "path"), err);
}

static int call_put_new(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    (void)out;
    return objects()->put_new(inst, str(in, "key"), str(in, "mime"), str(in, "path"), err);
}

static int call_get(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    (void)out;
    return objects()->get(inst, str(in, "key"), str(in, "path"), err);
}

static int call_head(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    struct bp_object_info info = {0};
    int rc = objects()->head(inst, str(in, "key"), &info, err);
    json_object_object_add(out, "object", info_json(&info));
    return rc;
}

static int call_remove(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    (void)out;
    return objects()->remove(inst, str(in, "key"), err);
}

static int call_list(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    static struct bp_object_info infos[LIST_MAX];
    struct json_object *list = json_object_new_array();
    uint32_t n = (uint32_t)num(in, "n", LIST_MAX);
    int rc = objects()->list(inst, str(in, "prefix"), str(in, "after"), infos, &n, err);
    for (uint32_t i = 0; i < n; i++)
        json_object_array_add(list, info_json(&infos[i]));
    json_object_object_add(out, "objects", list);
    return rc;
}

static int call_param(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    char *value = NULL;
    int rc = (num(in, "fresh", 0) ? params()->get_fresh : params()->get)(inst, str(in, "name"), &value, err);
    give(out, "value", value);
    fake_host_free(value);
    return rc;
}

static int call_param_put(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    (void)out;
    return params()->put(inst, str(in, "name"), str(in, "value"), (int32_t)num(in, "secret", 1), err);
}

static int call_identity(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    struct bp_node_identity id = {0};
    (void)in;
    int rc = node()->identity(inst, &id, err);
    give(out, "instance_id", id.instance_id);
    give(out, "instance_type", id.instance_type);
    give(out, "zone", id.zone);
    give(out, "capacity_type", id.capacity_type);
    return rc;
}

static int call_notice(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    int32_t kind = 0;
    int64_t deadline_ms = 0;
    (void)in;
    int rc = node()->notice(inst, &kind, &deadline_ms, err);
    json_object_object_add(out, "kind", json_object_new_int(kind));
    json_object_object_add(out, "deadline_ms", json_object_new_int64(deadline_ms));
    return rc;
}

static int call_ending(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    (void)out;
    return BP_HAS(node(), ending) ? node()->ending(inst, (int32_t)num(in, "done", 0), err) : BP_UNSUPPORTED;
}

const struct facet_call facet_calls[] = {
    {"presign", call_presign},
    {"put", call_put},
    {"put_new", call_put_new},
    {"get", call_get},
    {"head", call_head},
    {"remove", call_remove},
    {"list", call_list},
    {"param", call_param},
    {"param_put", call_param_put},
    {"identity", call_identity},
    {"notice", call_notice},
    {"ending", call_ending},
    {NULL, NULL},
};
