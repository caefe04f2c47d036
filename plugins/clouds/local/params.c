/* SPDX-License-Identifier: Apache-2.0 */
/* params.c - facet bp.params/1: <state>/params.json, mode 0600, {"name": {"value": "...", "secret": true}}. */
#include "err.h"
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_BYTES  1011
#define VALUE_BYTES 65536
#define FILE_BYTES  (64U << 20)

struct params {
    struct local *local;
    char path[PATH_SIZE];
};

static int check_name(const char *name, struct bp_err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/";
    size_t n = name ? strlen(name) : 0;
    if (n >= 1 && n <= NAME_BYTES && strspn(name, letters) == n)
        return 0;
    return err_set(err, BP_INVALID, "a parameter's name has 1 to %d of the characters a-z A-Z 0-9 _ . - /", NAME_BYTES);
}

/* The whole file, read each time: it is asked for rarely, and an operator may have edited it. json_object_put() it. */
static int load(const struct params *p, struct json_object **out, struct bp_err *err)
{
    char *text;
    struct stat st;
    int rc = file_read(p->path, FILE_BYTES, &text, err);
    if (rc == BP_NOTFOUND) {
        *out = json_object_new_object();
        return 0;
    }
    if (rc < 0)
        return rc;
    *out = json_tokener_parse(text);
    free(text);
    if (stat(p->path, &st) == 0 && (st.st_mode & 077))
        LOCAL_LOG(p->local, BP_LOG_WARN, "%s can be read by others; chmod 600 it", p->path);
    if (json_object_is_type(*out, json_type_object))
        return 0;
    json_object_put(*out);
    return err_set(err, BP_INVALID, "%s is not a JSON object; correct or remove it", p->path);
}

static int32_t get(void *inst, const char *name, char **value, struct bp_err *err)
{
    struct params *p = ((struct local *)inst)->params;
    struct json_object *all, *one, *v = NULL;
    int rc = check_name(name, err);
    if (rc < 0 || (rc = load(p, &all, err)) < 0)
        return rc;
    if (json_object_object_get_ex(all, name, &one) && json_object_object_get_ex(one, "value", &v) &&
        json_object_is_type(v, json_type_string)) {
        *value = local_text(p->local, json_object_get_string(v));
        rc = *value ? 0 : err_set(err, BP_NOMEM, "no memory to read parameter %s", name);
    } else {
        rc = err_set(err, BP_NOTFOUND, "there is no parameter %.200s", name);
    }
    json_object_put(all);
    return rc;
}

static int put_locked(struct params *p, const char *name, const char *value, int32_t secret, struct bp_err *err)
{
    struct json_object *all;
    int rc = load(p, &all, err);
    if (rc < 0)
        return rc;
    struct json_object *one = json_object_new_object();
    json_object_object_add(one, "value", json_object_new_string(value));
    json_object_object_add(one, "secret", json_object_new_boolean(secret != 0));
    json_object_object_add(all, name, one);
    rc = file_replace(
        p->path, json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE), err);
    json_object_put(all);
    return rc;
}

/* A lock file of its own keeps out other threads and another generation alike. */
static int32_t put(void *inst, const char *name, const char *value, int32_t secret, struct bp_err *err)
{
    struct params *p = ((struct local *)inst)->params;
    char path[PATH_SIZE];
    int rc = check_name(name, err);
    if (rc < 0)
        return rc;
    if (!value || strlen(value) > VALUE_BYTES)
        return err_set(err, BP_INVALID, "a parameter's value has at most %d bytes", VALUE_BYTES);
    path_format(path, "%s/params.lock", p->local->dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, "open", path, errno);
    while ((rc = flock(fd, LOCK_EX)) < 0 && errno == EINTR)
        ;
    rc = rc < 0 ? err_errno(err, "lock", path, errno) : put_locked(p, name, value, secret, err);
    close(fd);
    return rc;
}

struct params *params_open(struct local *l, struct bp_err *err)
{
    struct params *p = calloc(1, sizeof *p);
    if (!p) {
        err_set(err, BP_NOMEM, "no memory for params");
        return NULL;
    }
    p->local = l;
    path_format(p->path, "%s/params.json", l->dir);
    return p;
}

void params_close(struct params *p)
{
    free(p);
}

const struct bp_params params_facet = {.size = sizeof(struct bp_params), .get = get, .put = put};
