/* SPDX-License-Identifier: Apache-2.0 */
/* upload.c - where a tenant may PUT an input. */
#include "dispatch/input.h"
#include "dispatch/job_json.h"
#include "dispatch/mime.h"
#include "dispatch/order.h"
#include "dispatch/urls.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { F_NAME, F_MIME, F_BYTES, N_FIELDS };
static const struct input_rule rules[N_FIELDS] = {
    [F_NAME] = {"name", INPUT_TEXT, INPUT_STRICT, 0, 1024},
    [F_MIME] = {"mime", INPUT_TEXT, 0, 0, 255},
    [F_BYTES] = {"bytes", INPUT_INTEGER, 0, 1, 17179869184.0},
};

struct upload {
    struct ask ask;
    struct json_object *data;
};

static void drop(struct ask *a)
{
    json_object_put(((struct upload *)a)->data);
}

/* The last segment of a file name, with everything a key or a shell would trip over as '_'. */
static void safe_name(const char *name, char out[128])
{
    const char *slash = strrchr(name, '/'), *back = strrchr(name, '\\');
    const char *s = slash > back ? slash + 1 : back ? back + 1 : name;
    size_t n = 0;
    while (*s == '.')
        s++;
    for (; *s && n < 100; s++) {
        unsigned char c = (unsigned char)*s;
        out[n++] = isalnum(c) || strchr("._-", c) ? (char)c : '_';
    }
    out[n] = '\0';
    if (n == 0)
        snprintf(out, 128, "input");
}

static void upload_signed(const struct bp_err *err, void *arg)
{
    struct upload *u = arg;
    struct json_object *data = u->data;
    u->ask.on_loop = 1;
    if (err->rc != BP_OK) {
        ask_fail(&u->ask, err);
        return;
    }
    u->data = NULL;
    int64_t life_s = url_life_s(json_str(data, "upload_url", ""));
    if (life_s && life_s < u->ask.d->set.url_ttl_s)
        put_time(data, "expires_at", dispatch_now(u->ask.d) + life_s * 1000);
    ask_ok(&u->ask, "Upload ready", data);
}

static struct json_object *upload_json(struct dispatch *d, const char *key, const char *mime)
{
    struct json_object *data = json_object_new_object(), *headers = json_object_new_object();
    put_text(data, "key", key);
    put_new(data, "upload_url", NULL);
    put_text(data, "method", "PUT");
    if (mime)
        put_text(headers, "Content-Type", mime);
    put_new(data, "headers", headers);
    put_time(data, "expires_at", dispatch_now(d) + (int64_t)d->set.url_ttl_s * 1000);
    return data;
}

static void upload_begin(struct upload *u, const struct input *in, const char *tenant)
{
    struct dispatch *d = u->ask.d;
    char name[128], uuid[UUID_SIZE], key[512];
    const char *mime = input_text(in, F_MIME, NULL);
    int64_t bytes = input_integer(in, F_BYTES, 0);
    safe_name(input_text(in, F_NAME, "input"), name);
    uuid_make(uuid);
    snprintf(key, sizeof key, "tenants/%.200s/uploads/%s/%s", tenant, uuid, name);
    u->data = upload_json(d, key, mime);
    struct url_set *urls = url_set_new(d);
    url_set_add(urls, &(struct url_want){.method = "PUT",
                                         .key = key,
                                         .mime = mime,
                                         .max_bytes = bytes > 0 ? bytes : d->set.max_upload,
                                         .into = u->data,
                                         .name = "upload_url"});
    url_set_sign(urls, upload_signed, u);
}

void dispatch_upload(struct dispatch *d, const char *tenant, struct json_object *body, dispatch_reply fn, void *arg)
{
    struct upload *u = ask_new(d, sizeof *u, fn, arg);
    struct input in;
    u->ask.drop = drop;
    input_read(&in, rules, N_FIELDS, body);
    const char *mime = input_text(&in, F_MIME, NULL);
    if (mime && !mime_is_valid(mime))
        input_wrong(&in, "mime", "The mime field must be a MIME type such as image/jpeg.");
    if (input_integer(&in, F_BYTES, 0) > d->set.max_upload)
        input_wrong(&in, "bytes", "The bytes field must not be greater than %lld.", (long long)d->set.max_upload);
    if (in.fields)
        ask_invalid(&u->ask, input_fields(&in));
    else
        upload_begin(u, &in, tenant);
    input_close(&in);
}
