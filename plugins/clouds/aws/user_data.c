/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user_data.c - what a new instance runs at its first boot: it writes the worker's settings and starts the worker.
 *
 * User data can be read by whoever may describe instances, so that no secret is in it: the worker fetches the fleet
 * secret by the name of its parameter.
 */
#include "err.h"
#include "fleet_ensure.h"

#include <errno.h>
#include <json-c/json.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCRIPT_MAX 16384 /* of EC2, before base64 */
#define MARK       "BPD_WORKER_SETTINGS"

static const char script[] = "#!/bin/bash\n"
                             "# Made by bpd for the instances of @SLUG@: changes here are overwritten.\n"
                             "set -euo pipefail\n"
                             "install -d -m 0755 /etc/bpd\n"
                             "umask 027\n"
                             "cat >/etc/bpd/worker.json <<'" MARK "'\n"
                             "@SETTINGS@\n" MARK "\n"
                             "chgrp bp-worker /etc/bpd/worker.json\n"
                             "systemctl enable bp-worker.service\n"
                             "systemctl restart --no-block bp-worker.service\n";

/* ---- the worker's settings ---- */

static struct json_object *object_in(struct json_object *o, const char *name)
{
    struct json_object *in = NULL;
    if (json_object_object_get_ex(o, name, &in))
        return in;
    in = json_object_new_object();
    json_object_object_add(o, name, in);
    return in;
}

static void put(struct json_object *o, const char *name, const char *text)
{
    json_object_object_add(o, name, json_object_new_string(text));
}

/* Members of `more` go over those of o; objects are merged. What is given is shared, so copies are put in. */
static void merge(struct json_object *o, struct json_object *more)
{
    json_object_object_foreach(more, name, v)
    {
        struct json_object *copy = NULL;
        if (json_object_is_type(v, json_type_object))
            merge(object_in(o, name), v);
        else if (json_object_deep_copy(v, &copy, NULL) == 0)
            json_object_object_add(o, name, copy);
    }
}

/* Nothing beyond this machine can reach it. */
static int is_loopback(const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    return strncmp(host, "127.", 4) == 0 || strncmp(host, "localhost", 9) == 0 || strncmp(host, "[::1]", 5) == 0 ||
           strncmp(host, "0.0.0.0", 7) == 0 || strncmp(host, "[::]", 4) == 0;
}

static const char *controller_url(const struct fleets *f, struct bp_err *err)
{
    const char *own = f->aws->settings.url;
    if (f->set.controller_url[0])
        return f->set.controller_url;
    if (own[0] && !is_loopback(own))
        return own;
    err_set(err, BP_INVALID,
            "instances cannot reach the controller at %.80s; set http.url, or plugin.aws.fleet.controllerUrl, to where "
            "they can",
            own[0] ? own : "an unknown address");
    return NULL;
}

static struct json_object *worker_settings(const struct ensuring *e, const char *url)
{
    const struct fleets *f = e->f;
    const struct settings *s = &f->aws->settings;
    struct json_object *o = json_object_new_object(), *given = NULL;
    char secret[160];
    snprintf(secret, sizeof secret, "param:/bp/%.100s/fleet-secret", s->stage);
    put(o, "stage", s->stage);
    put(object_in(o, "worker"), "url", url);
    put(object_in(o, "worker"), "fleet", e->spec->slug);
    put(object_in(o, "worker"), "fleetSecret", f->set.secret[0] ? f->set.secret : secret);
    put(object_in(o, "services"), "node", "aws");
    put(object_in(o, "services"), "params", "aws");
    json_object_object_add(object_in(o, "shutdown"), "graceSeconds", json_object_new_int(100));
    struct json_object *aws = object_in(object_in(o, "plugin"), "aws");
    put(aws, "region", s->region);
    put(aws, "group", e->name);
    put(aws, "lifecycleHook", f->set.hook);
    if (f->set.json && json_object_object_get_ex(f->set.json, "workerSettings", &given) &&
        json_object_is_type(given, json_type_object))
        merge(o, given);
    return o;
}

/* ---- the script ---- */

static char *read_file(const char *path, struct bp_err *err)
{
    FILE *in = fopen(path, "re");
    char *text = in ? calloc(1, SCRIPT_MAX + 2) : NULL;
    size_t n = text ? fread(text, 1, SCRIPT_MAX + 1, in) : 0;
    if (!in || !text || ferror(in)) {
        err_set(err, BP_INVALID, "plugin.aws.fleet.userDataFile: cannot read %.120s: %s", path, strerror(errno));
        free(text);
        text = NULL;
    } else if (n > SCRIPT_MAX) {
        err_set(err, BP_TOOLARGE, "plugin.aws.fleet.userDataFile: %.120s has more than %d bytes", path, SCRIPT_MAX);
        free(text);
        text = NULL;
    }
    if (in)
        fclose(in);
    return text;
}

struct place {
    const char *name, *value;
};

static const struct place *place_at(const char *text, const struct place *places)
{
    for (; places->name; places++)
        if (strncmp(text, places->name, strlen(places->name)) == 0)
            return places;
    return NULL;
}

/* `from` with its places filled in; NULL: longer than a script may be. */
static char *fill(const char *from, const struct place *places, struct bp_err *err)
{
    char *out = calloc(1, SCRIPT_MAX + 1);
    size_t n = 0;
    while (out && *from) {
        const struct place *p = *from == '@' ? place_at(from, places) : NULL;
        size_t k = p ? strlen(p->value) : 1;
        if (n + k > SCRIPT_MAX) {
            err_set(err, BP_TOOLARGE, "the user data of an instance has at most %d bytes; shorten plugin.aws.fleet.%s",
                    SCRIPT_MAX, "userDataFile or .workerSettings");
            free(out);
            return NULL;
        }
        memcpy(out + n, p ? p->value : from, k);
        n += k;
        from += p ? strlen(p->name) : 1;
    }
    if (!out)
        err_set(err, BP_NOMEM, "no memory for user data");
    return out;
}

static char *to_base64(const char *text, struct bp_err *err)
{
    size_t n = strlen(text);
    char *out = malloc(n / 3 * 4 + 8);
    if (!out)
        err_set(err, BP_NOMEM, "no memory for user data");
    else
        EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)text, (int)n);
    return out;
}

char *user_data_make(const struct ensuring *e, struct bp_err *err)
{
    const struct fleets *f = e->f;
    const char *url = controller_url(f, err);
    char *own = NULL, *filled = NULL, *out = NULL;
    if (!url || (f->set.user_data_file[0] && !(own = read_file(f->set.user_data_file, err))))
        return NULL;
    struct json_object *settings = worker_settings(e, url);
    const struct place places[] = {
        {"@SETTINGS@",
         json_object_to_json_string_ext(settings, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)},
        {"@SLUG@", e->spec->slug},
        {"@STAGE@", f->aws->settings.stage},
        {"@REGION@", f->aws->settings.region},
        {"@URL@", url},
        {NULL, NULL}};
    filled = fill(own ? own : script, places, err);
    if (filled)
        out = to_base64(filled, err);
    json_object_put(settings);
    free(filled);
    free(own);
    return out;
}
