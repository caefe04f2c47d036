/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/urls.h"

#include <bp/cloud.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct url {
    const char *method, *name;
    char *key, *mime, *text;
    int64_t max_bytes;
    struct json_object *into, *into2; /* the second when the URL stands in two places */
    const char *name2;
};

/* What the actor's thread reads and writes; the JSON objects are touched on the loop only. */
struct url_set {
    struct dispatch *d;
    int32_t ttl_s;
    uint32_t n, room;
    struct url *url;
};

/* Who waits: lives apart from the set, which belongs to the actor after a timeout. */
struct url_wait {
    struct dispatch *d;
    url_set_done done;
    void *arg;
    struct bp_err err;
};

struct url_set *url_set_new(struct dispatch *d)
{
    struct url_set *s = calloc(1, sizeof *s);
    assert(s);
    s->d = d;
    s->ttl_s = d->set.url_ttl_s;
    return s;
}

void url_set_free(struct url_set *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        free(s->url[i].key);
        free(s->url[i].mime);
        free(s->url[i].text);
        json_object_put(s->url[i].into);
        json_object_put(s->url[i].into2);
    }
    free(s->url);
    free(s);
}

void url_set_add(struct url_set *s, const struct url_want *want)
{
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 8;
        s->url = reallocarray(s->url, s->room, sizeof *s->url);
        assert(s->url);
    }
    struct url *u = &s->url[s->n++];
    *u = (struct url){.method = want->method, .name = want->name, .max_bytes = want->max_bytes};
    u->into = json_object_get(want->into);
    u->key = strdup(want->key);
    u->mime = want->mime ? strdup(want->mime) : NULL;
    assert(u->key);
}

void url_set_also(struct url_set *s, struct json_object *into, const char *name)
{
    assert(s->n > 0 && !s->url[s->n - 1].into2);
    s->url[s->n - 1].into2 = json_object_get(into);
    s->url[s->n - 1].name2 = name;
}

void url_set_add_output(struct url_set *s, struct json_object *job)
{
    struct json_object *output = json_member(job, "output");
    const char *key = json_str(output, "key", NULL);
    if (output)
        json_object_object_add(output, "url", NULL);
    if (key && bus_has_service(s->d->bus, "objects") && json_num(output, "size", -1) != 0)
        url_set_add(s, &(struct url_want){.method = "GET", .key = key, .into = output, .name = "url"});
}

uint32_t url_set_count(const struct url_set *s)
{
    return s->n;
}

/* [actor] */
static int sign_all(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_objects *objects = table;
    struct url_set *s = args;
    if (!BP_HAS(objects, presign))
        return err_set(err, BP_UNSUPPORTED, "the objects service signs no URLs");
    for (uint32_t i = 0; i < s->n; i++) {
        struct url *u = &s->url[i];
        char *text = NULL;
        int rc = objects->presign(inst, u->method, u->key, u->mime, u->max_bytes, s->ttl_s, &text, err);
        if (rc != BP_OK)
            return rc;
        u->text = text ? strdup(text) : NULL;
        free(text); /* bp_host.free is free() in this process */
        if (!u->text)
            return err_set(err, BP_FAIL, "sign %s %s: the objects service gave no URL", u->method, u->key);
    }
    return BP_OK;
}

static void set_free(void *args)
{
    url_set_free(args);
}

static void wait_end(struct url_wait *w)
{
    w->done(&w->err, w->arg);
    dispatch_unref(w->d);
    free(w);
}

static void wait_end_posted(void *arg)
{
    wait_end(arg);
}

/* "https://bucket.example" of a URL, where a browser will have to be allowed to go. */
static void learn_origin(struct dispatch *d, const char *url)
{
    const char *host = strstr(url, "://");
    size_t n = host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#") : 0;
    if (n == 0 || n >= sizeof d->objects_origin ||
        (strlen(d->objects_origin) == n && strncmp(d->objects_origin, url, n) == 0))
        return;
    if (strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:/[]") < n)
        return; /* it goes into a header */
    memcpy(d->objects_origin, url, n);
    d->objects_origin[n] = '\0';
}

static void put_all(struct url_set *s)
{
    if (s->n)
        learn_origin(s->d, s->url[0].text);
    for (uint32_t i = 0; i < s->n; i++) {
        const struct url *u = &s->url[i];
        json_object_object_add(u->into, u->name, json_object_new_string(u->text));
        if (u->into2)
            json_object_object_add(u->into2, u->name2, json_object_new_string(u->text));
    }
}

static void signed_reply(void *args, const struct bp_err *err, void *arg)
{
    struct url_wait *w = arg;
    w->err = *err;
    if (err->rc == BP_OK)
        put_all(args);
    wait_end(w);
}

void url_set_sign(struct url_set *s, url_set_done done, void *arg)
{
    struct dispatch *d = s->d;
    struct url_wait *w = calloc(1, sizeof *w);
    assert(w);
    *w = (struct url_wait){.d = d, .done = done, .arg = arg};
    dispatch_ref(d);
    struct request_spec spec = {.service = "objects",
                                .name = "objects.presign",
                                .run = sign_all,
                                .args = s,
                                .args_free = set_free,
                                .reply = signed_reply,
                                .arg = w,
                                .timeout_ms = OBJECTS_TIMEOUT_MS};
    if (s->n == 0) {
        url_set_free(s);
        loop_post(d->loop, "dispatch.urls", wait_end_posted, w);
        return;
    }
    if (bus_request(d->bus, &spec, &w->err) != BP_OK) {
        send_error(&w->err, "objects");
        loop_post(d->loop, "dispatch.urls", wait_end_posted, w);
    }
}

static void probed(const struct bp_err *err, void *arg)
{
    if (err->rc != BP_OK)
        log_debug(LOG_DISPATCH, "the objects service signed no URL at the start: %s", err->text);
    json_object_put(arg);
}

void dispatch_probe_objects(struct dispatch *d)
{
    struct json_object *into = json_object_new_object();
    struct url_set *s = url_set_new(d);
    url_set_add(s, &(struct url_want){.method = "GET", .key = "probe", .into = into, .name = "url"});
    url_set_sign(s, probed, into);
}

const char *dispatch_objects_origin(const struct dispatch *d)
{
    return d->objects_origin;
}

int64_t url_life_s(const char *url)
{
    const char *at = strstr(url, "X-Amz-Expires=");
    int64_t s = at ? strtoll(at + sizeof "X-Amz-Expires=" - 1, NULL, 10) : 0;
    return s > 0 && s <= 604800 ? s : 0;
}
