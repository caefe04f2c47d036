/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.c - facet bp.node/1, on the instance: who it is and whether its end was announced.
 *
 * The fleet writes both into the instance's directory, which is the worker's state directory: instance.json before the
 * worker starts, notice.json {"kind": "interruption", "deadline_ms": ...} when there is a notice. Writing notice.json
 * by hand does the same.
 */
#include "err.h"
#include "local.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_BYTES 4096

struct node {
    struct local *local;
};

static const char *text_member(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    json_object_object_get_ex(o, name, &v);
    return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
}

/* A JSON object from a file of the instance's directory; BP_NOTFOUND without file. json_object_put() it. */
static int read_member(const struct local *l, const char *file, struct json_object **out, struct bp_err *err)
{
    char path[PATH_SIZE];
    char *text;
    path_format(path, "%s/%s", l->settings.daemon_state_dir, file);
    int rc = file_read(path, FILE_BYTES, &text, err);
    if (rc < 0)
        return rc;
    *out = json_tokener_parse(text);
    free(text);
    if (json_object_is_type(*out, json_type_object))
        return 0;
    json_object_put(*out);
    return err_set(err, BP_INVALID, "%s is not a JSON object", path);
}

static int32_t identity(void *inst, struct bp_node_identity *out, struct bp_err *err)
{
    struct local *l = inst;
    struct json_object *o = NULL;
    memset(out, 0, sizeof *out);
    int rc = read_member(l, "instance.json", &o, err);
    if (rc == BP_NOTFOUND && l->settings.instance_id[0] && strlen(l->settings.instance_id) < sizeof out->instance_id) {
        snprintf(out->instance_id, sizeof out->instance_id, "%.63s", l->settings.instance_id);
        snprintf(out->instance_type, sizeof out->instance_type, "local");
        snprintf(out->zone, sizeof out->zone, "%.31s", l->settings.zone);
        snprintf(out->capacity_type, sizeof out->capacity_type, "on-demand");
        return 0;
    }
    if (rc == BP_NOTFOUND)
        return err_set(err, BP_NOTFOUND, "this machine is no instance of a fleet");
    if (rc < 0)
        return rc;
    snprintf(out->instance_id, sizeof out->instance_id, "%.63s", text_member(o, "id"));
    snprintf(out->instance_type, sizeof out->instance_type, "%.31s", text_member(o, "type"));
    snprintf(out->zone, sizeof out->zone, "%.31s", text_member(o, "zone"));
    snprintf(out->capacity_type, sizeof out->capacity_type, "%.15s", text_member(o, "capacity_type"));
    json_object_put(o);
    return 0;
}

static int32_t kind_of(const char *word)
{
    static const struct {
        const char *word;
        int32_t kind;
    } rows[] = {{"rebalance", BP_NOTICE_REBALANCE},
                {"interruption", BP_NOTICE_INTERRUPTION},
                {"termination", BP_NOTICE_TERMINATION}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].word, word) == 0)
            return rows[i].kind;
    return BP_NOTICE_NONE;
}

static int32_t notice(void *inst, int32_t *kind, int64_t *deadline_ms, struct bp_err *err)
{
    struct local *l = inst;
    struct json_object *o = NULL, *v = NULL;
    struct stat st;
    char path[PATH_SIZE];
    *kind = BP_NOTICE_NONE;
    *deadline_ms = 0;
    path_format(path, "%s/notice.json", l->settings.daemon_state_dir);
    if (stat(path, &st) < 0)
        return 0;
    int rc = read_member(l, "notice.json", &o, err);
    if (rc < 0)
        return rc == BP_NOTFOUND ? 0 : rc;
    *kind = kind_of(text_member(o, "kind"));
    if (*kind == BP_NOTICE_NONE)
        rc = err_set(err, BP_INVALID, "%.120s: kind must be rebalance, interruption or termination", path);
    if (json_object_object_get_ex(o, "deadline_ms", &v))
        *deadline_ms = json_object_get_int64(v);
    json_object_put(o);
    return rc;
}

struct node *node_open(struct local *l, struct bp_err *err)
{
    struct node *n = calloc(1, sizeof *n);
    if (!n) {
        err_set(err, BP_NOMEM, "no memory for the node");
        return NULL;
    }
    n->local = l;
    return n;
}

void node_close(struct node *n)
{
    free(n);
}

const struct bp_node node_facet = {.size = sizeof(struct bp_node), .identity = identity, .notice = notice};
