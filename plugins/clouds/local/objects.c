/* SPDX-License-Identifier: Apache-2.0 */
/* objects.c - facet bp.objects/1: objects in a directory, reached through bpd by signed URLs. */
#include "err.h"
#include "local.h"
#include "object_file.h"
#include "sign.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TTL_MAX_S 604800

struct objects {
    struct local *local;
    struct sign_key key;
    char dir[PATH_DIR_MAX + 64];
};

static struct objects *of(void *inst)
{
    return ((struct local *)inst)->objects;
}

const char *objects_dir(const struct objects *o)
{
    return o->dir;
}

static int check_key(const char *key, struct bp_err *err)
{
    if (object_key_valid(key))
        return 0;
    return err_set(err, BP_INVALID,
                   "an object's key must be UTF-8, 1 to 1024 bytes, without empty, \".\" or \"..\" parts");
}

static int check_space(const struct objects *o, struct bp_err *err)
{
    int64_t least = o->local->settings.min_free_bytes;
    int64_t left = file_free_bytes(o->dir);
    if (left < 0 || left >= least)
        return 0;
    return err_set(err, BP_NOSPACE, "only %lld bytes are free in %.100s, less than minFreeBytes %lld; free some",
                   (long long)left, o->dir, (long long)least);
}

/* ---- URLs ---- */

static int32_t presign(void *inst, const char *method, const char *key, const char *mime, int64_t max_bytes,
                       int32_t ttl_s, char **url, struct bp_err *err)
{
    struct objects *o = of(inst);
    struct grant g = {.max_bytes = max_bytes, .expires_s = LOCAL_NOW(o->local) / 1000 + ttl_s};
    char text[SIGN_URL_SIZE];
    int rc = check_key(key, err);
    if (rc < 0)
        return rc;
    if (strcmp(method, "GET") != 0 && strcmp(method, "PUT") != 0)
        return err_set(err, BP_INVALID, "a URL can be signed for GET or PUT, not for %.20s", method);
    if (ttl_s < 1 || ttl_s > TTL_MAX_S || max_bytes < 0 || (mime && strlen(mime) >= sizeof g.mime))
        return err_set(err, BP_INVALID, "a signed URL lives 1 to %d s and names a type of at most %zu bytes", TTL_MAX_S,
                       sizeof g.mime - 1);
    if (!o->local->settings.url[0])
        return err_set(err, BP_FAIL,
                       "cannot sign a URL: the base URL of this daemon is not known; set url of plugin local");
    snprintf(g.method, sizeof g.method, "%s", method);
    snprintf(g.key, sizeof g.key, "%s", key);
    snprintf(g.mime, sizeof g.mime, "%s", mime ? mime : "");
    if ((rc = sign_url(&o->key, o->local->settings.url, &g, text, err)) < 0)
        return rc;
    *url = local_text(o->local, text);
    return *url ? 0 : err_set(err, BP_NOMEM, "no memory to sign a URL");
}

static int open_for_get(struct objects *o, const struct grant *g, char path[PATH_SIZE], struct bp_object_info *info,
                        struct bp_err *err)
{
    struct object found;
    int rc = object_read(o->dir, g->key, &found, err);
    if (rc < 0)
        return rc;
    object_path(o->dir, &found, path);
    *info = found.info;
    return 0;
}

static int open_for_put(struct objects *o, const struct grant *g, char path[PATH_SIZE], struct bp_object_info *info,
                        struct bp_err *err)
{
    int rc = check_space(o, err);
    if (rc < 0)
        return rc;
    object_temp_path(o->dir, g->key, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, "make", path, errno);
    close(fd);
    memset(info, 0, sizeof *info);
    memcpy(info->key, g->key, sizeof info->key);
    memcpy(info->mime, g->mime, sizeof info->mime);
    return 0;
}

static int32_t open_local(void *inst, const char *method, const char *path_query, char **path,
                          struct bp_object_info *info, int64_t *max_bytes, struct bp_err *err)
{
    struct objects *o = of(inst);
    struct grant g;
    char file[PATH_SIZE];
    int reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    int rc = sign_check(&o->key, path_query, LOCAL_NOW(o->local), &g, err);
    if (rc < 0)
        return rc;
    if (strcmp(g.method, reads ? "GET" : method) != 0)
        return err_set(err, BP_DENIED, "this URL is signed for %s, not for %.20s", g.method, method);
    rc = reads ? open_for_get(o, &g, file, info, err) : open_for_put(o, &g, file, info, err);
    if (rc < 0)
        return rc;
    int64_t own = o->local->settings.max_object_bytes;
    *max_bytes = g.max_bytes && g.max_bytes < own ? g.max_bytes : own;
    *path = local_text(o->local, file);
    if (*path)
        return 0;
    if (!reads)
        unlink(file);
    return err_set(err, BP_NOMEM, "no memory to open an object");
}

/* A temporary file is one that open_local() may have named: directly in our tmp. */
static int is_temp(const struct objects *o, const char *path)
{
    size_t n = strlen(o->dir);
    return strncmp(path, o->dir, n) == 0 && strncmp(path + n, "/tmp/", 5) == 0 && !strchr(path + n + 5, '/') &&
           path[n + 5] != '.';
}

static int check_size(const struct objects *o, const char *path, struct bp_err *err)
{
    struct stat st;
    int64_t most = o->local->settings.max_object_bytes;
    if (lstat(path, &st) < 0)
        return err_errno(err, "read", path, errno);
    if (!S_ISREG(st.st_mode))
        return err_set(err, BP_INVALID, "%.200s is not a regular file", path);
    if (st.st_size > most)
        return err_set(err, BP_INVALID, "the object has %lld bytes, more than maxObjectBytes %lld",
                       (long long)st.st_size, (long long)most);
    return 0;
}

static int32_t commit_local(void *inst, const char *key, const char *path, const char *mime, int32_t ok,
                            struct bp_err *err)
{
    struct objects *o = of(inst);
    if (!is_temp(o, path))
        return err_set(err, BP_INVALID, "%.150s is not a temporary file of the object store", path);
    int rc = ok ? check_key(key, err) : 0;
    if (ok && rc == 0)
        rc = check_size(o, path, err);
    if (ok && rc == 0)
        rc = object_publish(o->dir, path, key, mime, LOCAL_NOW(o->local), err);
    if (!ok || rc < 0)
        unlink(path);
    return rc;
}

/* ---- files ---- */

/* Copies a file to a new one; on error there is no new one. */
static int copy_file(const char *from, const char *to, struct bp_err *err)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return err_errno(err, "open", from, errno);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0) {
        int number = errno;
        close(in);
        return err_errno(err, "make", to, number);
    }
    int bad = file_copy(in, out) < 0;
    int number = errno;
    close(in);
    close(out);
    if (!bad)
        return 0;
    unlink(to);
    return err_errno(err, "copy to", to, number);
}

static int32_t put(void *inst, const char *key, const char *mime, const char *path, struct bp_err *err)
{
    struct objects *o = of(inst);
    char temp[PATH_SIZE];
    int rc = check_key(key, err);
    if (rc < 0 || (rc = check_size(o, path, err)) < 0 || (rc = check_space(o, err)) < 0)
        return rc;
    object_temp_path(o->dir, key, temp);
    if ((rc = copy_file(path, temp, err)) < 0)
        return rc;
    rc = object_publish(o->dir, temp, key, mime, LOCAL_NOW(o->local), err);
    if (rc < 0)
        unlink(temp);
    return rc;
}

/* Replaced meanwhile, an object's old bytes are gone: then it is read again, once. */
static int copy_out(struct objects *o, const char *key, const char *to, struct bp_err *err)
{
    int rc = BP_NOTFOUND;
    for (int tries = 0; rc == BP_NOTFOUND && tries < 2; tries++) {
        struct object found;
        char from[PATH_SIZE];
        if ((rc = object_read(o->dir, key, &found, err)) < 0)
            return rc;
        object_path(o->dir, &found, from);
        rc = copy_file(from, to, err);
    }
    return rc;
}

static int32_t get(void *inst, const char *key, const char *path, struct bp_err *err)
{
    char temp[PATH_SIZE], unique[17];
    int rc = check_key(key, err);
    if (rc < 0)
        return rc;
    if (strlen(path) > PATH_DIR_MAX)
        return err_set(err, BP_INVALID, "the path to write object %.100s to is too long", key);
    random_hex(unique, 8);
    path_format(temp, "%s.%s", path, unique);
    if ((rc = copy_out(of(inst), key, temp, err)) < 0)
        return rc;
    if (rename(temp, path) == 0)
        return 0;
    int number = errno;
    unlink(temp);
    return err_errno(err, "write", path, number);
}

static int32_t head(void *inst, const char *key, struct bp_object_info *out, struct bp_err *err)
{
    struct object found;
    int rc = check_key(key, err);
    if (rc < 0 || (rc = object_read(of(inst)->dir, key, &found, err)) < 0)
        return rc;
    *out = found.info;
    return 0;
}

static int32_t remove_object(void *inst, const char *key, struct bp_err *err)
{
    int rc = check_key(key, err);
    return rc < 0 ? rc : object_remove(of(inst)->dir, key, err);
}

/* ---- listing ---- */

struct listing {
    const char *prefix, *after;
    struct bp_object_info *out;
    uint32_t n, room;
};

/* Keeps the first `room` keys in order; what is behind them falls off. */
static void listing_add(struct listing *l, const struct bp_object_info *info)
{
    if (strncmp(info->key, l->prefix, strlen(l->prefix)) != 0 || (l->after && strcmp(info->key, l->after) <= 0))
        return;
    uint32_t low = 0, high = l->n;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (strcmp(l->out[mid].key, info->key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == l->room)
        return;
    if (l->n < l->room)
        l->n++;
    memmove(&l->out[low + 1], &l->out[low], (l->n - 1 - low) * sizeof *l->out);
    l->out[low] = *info;
}

static void list_shelf(struct listing *l, const char *dir, const char *shelf)
{
    char path[PATH_SIZE];
    path_format(path, "%s/%s", dir, shelf);
    DIR *d = opendir(path);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        struct object found;
        size_t n = strlen(e->d_name);
        if (n != 69 || strcmp(e->d_name + 64, ".json") != 0)
            continue;
        path_format(path, "%s/%s/%s", dir, shelf, e->d_name);
        if (object_read_sidecar(path, &found, NULL) == 0)
            listing_add(l, &found.info);
    }
    closedir(d);
}

/* Reads every sidecar: keys are spread by hash. For the thousands of objects of one machine, not for millions. */
static int32_t list(void *inst, const char *prefix, const char *after, struct bp_object_info *out, uint32_t *n,
                    struct bp_err *err)
{
    struct objects *o = of(inst);
    struct listing l = {.prefix = prefix ? prefix : "", .after = after, .out = out, .room = *n};
    *n = 0;
    DIR *d = opendir(o->dir);
    if (!d)
        return err_errno(err, "list", o->dir, errno);
    for (struct dirent *e; l.room && (e = readdir(d));)
        if (strlen(e->d_name) == 2 && strspn(e->d_name, "0123456789abcdef") == 2)
            list_shelf(&l, o->dir, e->d_name);
    closedir(d);
    *n = l.n;
    return 0;
}

/* ---- life ---- */

struct objects *objects_open(struct local *l, struct bp_err *err)
{
    char path[PATH_SIZE];
    const char *set = l->settings.objects_dir;
    if (set[0] && set[0] != '/') {
        err_set(err, BP_INVALID, "setting objectsDir must be an absolute path");
        return NULL;
    }
    struct objects *o = calloc(1, sizeof *o);
    if (!o) {
        err_set(err, BP_NOMEM, "no memory for the object store");
        return NULL;
    }
    o->local = l;
    snprintf(o->dir, sizeof o->dir, "%s%s", set[0] ? set : l->dir, set[0] ? "" : "/objects");
    path_format(path, "%s/tmp", o->dir);
    int rc = file_make_dirs(path, err);
    if (rc == 0) {
        path_format(path, "%s/objects.key", l->dir);
        rc = sign_key_open(path, &o->key, err);
    }
    if (rc < 0) {
        free(o);
        return NULL;
    }
    object_clean(o->dir);
    return o;
}

void objects_close(struct objects *o)
{
    if (o)
        explicit_bzero(&o->key, sizeof o->key);
    free(o);
}

const struct bp_objects objects_facet = {
    .size = sizeof(struct bp_objects),
    .presign = presign,
    .put = put,
    .get = get,
    .head = head,
    .remove = remove_object,
    .list = list,
    .open_local = open_local,
    .commit_local = commit_local,
};
