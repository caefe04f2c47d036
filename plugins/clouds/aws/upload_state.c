/* SPDX-License-Identifier: Apache-2.0 */
#include "upload_state.h"

#include "err.h"
#include "sign.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define FILE_MAX (4 << 20)

/* ---- the file ---- */

static const char *text_of(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    json_object_object_get_ex(o, name, &v);
    return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
}

static int64_t int_of(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    json_object_object_get_ex(o, name, &v);
    return json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : -1;
}

static struct json_object *read_file(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct json_object *o = NULL;
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size <= FILE_MAX)
        o = json_object_from_fd(fd);
    if (fd >= 0)
        close(fd);
    if (json_object_is_type(o, json_type_object))
        return o;
    json_object_put(o);
    return NULL;
}

static struct json_object *as_json(const struct upload_state *s)
{
    struct json_object *o = json_object_new_object(), *parts = json_object_new_array();
    json_object_object_add(o, "bucket", json_object_new_string(s->bucket));
    json_object_object_add(o, "key", json_object_new_string(s->key));
    json_object_object_add(o, "id", json_object_new_string(s->id));
    json_object_object_add(o, "dev", json_object_new_int64((int64_t)s->dev));
    json_object_object_add(o, "ino", json_object_new_int64((int64_t)s->ino));
    json_object_object_add(o, "bytes", json_object_new_int64(s->bytes));
    json_object_object_add(o, "changed_ns", json_object_new_int64(s->changed_ns));
    json_object_object_add(o, "begun_ms", json_object_new_int64(s->begun_ms));
    json_object_object_add(o, "part_bytes", json_object_new_int64(s->plan.part_bytes));
    for (uint32_t i = 0; i < s->plan.n; i++) {
        if (!s->parts[i].etag[0])
            continue;
        struct json_object *p = json_object_new_object();
        json_object_object_add(p, "number", json_object_new_int64(i + 1));
        json_object_object_add(p, "etag", json_object_new_string(s->parts[i].etag));
        json_object_object_add(p, "crc", json_object_new_int64(s->parts[i].crc));
        json_object_array_add(parts, p);
    }
    json_object_object_add(o, "parts", parts);
    return o;
}

static int write_all(int fd, const char *text, size_t n)
{
    while (n) {
        ssize_t w = write(fd, text, n);
        if (w < 0 && errno != EINTR)
            return -1;
        text += w > 0 ? w : 0;
        n -= w > 0 ? (size_t)w : 0;
    }
    return 0;
}

static int save(const struct upload_state *s, struct bp_err *err)
{
    char temp[sizeof s->path + 8];
    struct json_object *o = as_json(s);
    const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
    snprintf(temp, sizeof temp, "%s.new", s->path);
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int bad = fd < 0 || write_all(fd, text, strlen(text)) < 0;
    int number = errno;
    if (fd >= 0)
        close(fd);
    json_object_put(o);
    if (!bad && rename(temp, s->path) == 0)
        return 0;
    number = bad ? number : errno;
    unlink(temp);
    return err_errno(err, "write", s->path, number);
}

/* ---- the lock ---- */

static int take_lock(const char *path)
{
    char name[sizeof((struct upload_state *)0)->path + 8];
    snprintf(name, sizeof name, "%s.lock", path);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat held, there;
    if (fd < 0)
        return -1;
    /* Whoever held it before may have removed the name: then another may lock a file of that name too. */
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &held) == 0 && stat(name, &there) == 0 &&
        held.st_ino == there.st_ino)
        return fd;
    close(fd);
    errno = EWOULDBLOCK;
    return -1;
}

static void drop_lock(const char *path, int fd)
{
    char name[sizeof((struct upload_state *)0)->path + 8];
    snprintf(name, sizeof name, "%s.lock", path);
    unlink(name);
    close(fd);
}

/* ---- opening ---- */

static int make_parts(struct upload_state *s, struct bp_err *err)
{
    free(s->parts);
    s->parts = calloc(s->plan.n, sizeof *s->parts);
    return s->parts ? 0 : err_set(err, BP_NOMEM, "no memory for the %u parts of an upload", s->plan.n);
}

static int fits(const struct upload_state *s, struct json_object *o)
{
    return strcmp(text_of(o, "bucket"), s->bucket) == 0 && strcmp(text_of(o, "key"), s->key) == 0 &&
           int_of(o, "dev") == (int64_t)s->dev && int_of(o, "ino") == (int64_t)s->ino &&
           int_of(o, "bytes") == s->bytes && int_of(o, "changed_ns") == s->changed_ns;
}

static void load_parts(struct upload_state *s, struct json_object *list)
{
    size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *p = json_object_array_get_idx(list, i);
        int64_t number = int_of(p, "number"), crc = int_of(p, "crc");
        if (number < 1 || number > s->plan.n || crc < 0 || crc > UINT32_MAX)
            continue;
        snprintf(s->parts[number - 1].etag, sizeof s->parts[0].etag, "%s", text_of(p, "etag"));
        s->parts[number - 1].crc = (uint32_t)crc;
    }
}

/* 1: the upload of this file says that it goes on. */
static int load(struct upload_state *s, struct json_object *o)
{
    struct json_object *list = NULL;
    struct bp_err ignored;
    const char *id = text_of(o, "id");
    json_object_object_get_ex(o, "parts", &list);
    if (!id[0] || strlen(id) >= sizeof s->id || !fits(s, o) ||
        part_plan_make(&s->plan, s->bytes, int_of(o, "part_bytes"), &ignored) < 0 ||
        s->plan.part_bytes != int_of(o, "part_bytes") || make_parts(s, &ignored) < 0)
        return 0;
    snprintf(s->id, sizeof s->id, "%s", id);
    s->begun_ms = int_of(o, "begun_ms");
    load_parts(s, list);
    return 1;
}

static void set_source(struct upload_state *s, const struct upload_source *from)
{
    char what[1200], name[65];
    snprintf(what, sizeof what, "%s/%s", from->bucket, from->key);
    sign_sha256_hex(what, strlen(what), name);
    snprintf(s->path, sizeof s->path, "%s/%s.json", from->dir, name);
    snprintf(s->bucket, sizeof s->bucket, "%s", from->bucket);
    snprintf(s->key, sizeof s->key, "%s", from->key);
    s->dev = from->st->st_dev;
    s->ino = from->st->st_ino;
    s->bytes = from->st->st_size;
    s->changed_ns = (int64_t)from->st->st_mtim.tv_sec * 1000000000 + from->st->st_mtim.tv_nsec;
}

int upload_state_open(struct upload_state *s, const struct upload_source *from, char stale_id[1025], struct bp_err *err)
{
    memset(s, 0, sizeof *s);
    stale_id[0] = '\0';
    if (strlen(from->dir) > 4096)
        return err_set(err, BP_INVALID, "the directory of unfinished uploads has too long a name");
    set_source(s, from);
    if (mkdir(from->dir, 0700) < 0 && errno != EEXIST)
        return err_errno(err, "make", from->dir, errno);
    s->lock = take_lock(s->path);
    if (s->lock < 0 && errno == EWOULDBLOCK)
        return err_set(err, BP_LATER, "an upload of %.150s runs already; try again later", s->key);
    if (s->lock < 0)
        return err_errno(err, "lock", s->path, errno);
    pthread_mutex_init(&s->mutex, NULL);
    struct json_object *o = read_file(s->path);
    if (o && !load(s, o))
        snprintf(stale_id, 1025, "%s", strcmp(text_of(o, "key"), s->key) == 0 ? text_of(o, "id") : "");
    json_object_put(o);
    return 0;
}

int upload_state_begin(struct upload_state *s, const char *id, const struct part_plan *plan, int64_t now_ms,
                       struct bp_err *err)
{
    if (strlen(id) >= sizeof s->id)
        return err_set(err, BP_FAIL, "S3 gave an upload id of %zu bytes", strlen(id));
    snprintf(s->id, sizeof s->id, "%s", id);
    s->plan = *plan;
    s->begun_ms = now_ms;
    int rc = make_parts(s, err);
    return rc < 0 ? rc : save(s, err);
}

int upload_state_arrived(struct upload_state *s, uint32_t number, const char *etag, uint32_t crc, struct bp_err *err)
{
    if (!etag[0] || strlen(etag) >= sizeof s->parts[0].etag)
        return err_set(err, BP_FAIL, "S3 took part %u of %.100s, but gave no ETag for it", number, s->key);
    pthread_mutex_lock(&s->mutex);
    snprintf(s->parts[number - 1].etag, sizeof s->parts[0].etag, "%s", etag);
    s->parts[number - 1].crc = crc;
    int rc = save(s, err);
    pthread_mutex_unlock(&s->mutex);
    return rc;
}

void upload_state_forget(struct upload_state *s)
{
    unlink(s->path);
    s->id[0] = '\0';
}

void upload_state_close(struct upload_state *s)
{
    drop_lock(s->path, s->lock);
    pthread_mutex_destroy(&s->mutex);
    free(s->parts);
    s->parts = NULL;
}

/* ---- those that nobody takes up again ---- */

struct sweep {
    int64_t before_ms;
    int (*fn)(const char *bucket, const char *key, const char *id, void *arg);
    void *arg;
};

static void sweep_one(const struct sweep *w, const char *path)
{
    int lock = take_lock(path);
    if (lock < 0)
        return;
    struct json_object *o = read_file(path);
    if (!o || (int_of(o, "begun_ms") < w->before_ms &&
               w->fn(text_of(o, "bucket"), text_of(o, "key"), text_of(o, "id"), w->arg) == 0))
        unlink(path);
    json_object_put(o);
    drop_lock(path, lock);
}

void upload_state_sweep(const char *dir, int64_t max_age_ms, int64_t now_ms,
                        int (*fn)(const char *bucket, const char *key, const char *id, void *arg), void *arg)
{
    const struct sweep w = {now_ms - max_age_ms, fn, arg};
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[sizeof((struct upload_state *)0)->path];
        size_t n = strlen(e->d_name);
        if (n == 69 && strcmp(e->d_name + 64, ".json") == 0 &&
            (size_t)snprintf(path, sizeof path, "%s/%s", dir, e->d_name) < sizeof path)
            sweep_one(&w, path);
    }
    if (d)
        closedir(d);
}
