/* SPDX-License-Identifier: Apache-2.0 */
#include "object_file.h"

#include "err.h"
#include "process.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIDECAR_MAX 8192

/* ---- names ---- */

static void hash_of(const char *key, char out[OBJECT_HASH_SIZE])
{
    unsigned char md[EVP_MAX_MD_SIZE] = {0};
    unsigned int n = 0;
    EVP_Digest(key, strlen(key), md, &n, EVP_sha256(), NULL);
    for (size_t i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", md[i]);
}

static void sidecar_path(const char *dir, const char *hash, char out[PATH_SIZE])
{
    path_format(out, "%s/%.2s/%s.json", dir, hash, hash);
}

void object_path(const char *dir, const struct object *o, char out[PATH_SIZE])
{
    path_format(out, "%s/%.2s/%s", dir, o->file, o->file);
}

/* Names tell which process made them, so that a later one knows what was left behind. */
void object_temp_path(const char *dir, const char *key, char out[PATH_SIZE])
{
    char hash[OBJECT_HASH_SIZE], unique[33];
    hash_of(key, hash);
    random_hex(unique, 12);
    path_format(out, "%s/tmp/%s.%s.%s", dir, hash, process_mark(), unique);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* <64 hex>.<mark>.<hex>: nothing that could lead elsewhere. */
static int is_file_name(const char *name)
{
    size_t n = strspn(name, "0123456789abcdef");
    return n == 64 && name[n] == '.' && strlen(name) < OBJECT_NAME_SIZE &&
           strspn(name, "0123456789abcdef.-") == strlen(name);
}

/* ---- sidecars ---- */

static const char *text_member(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    json_object_object_get_ex(o, name, &v);
    return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
}

static int64_t int_member(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    json_object_object_get_ex(o, name, &v);
    return json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : -1;
}

static int sidecar_parse(const char *text, struct object *out)
{
    struct json_object *o = json_tokener_parse(text);
    memset(out, 0, sizeof *out);
    snprintf(out->info.key, sizeof out->info.key, "%s", text_member(o, "key"));
    snprintf(out->info.mime, sizeof out->info.mime, "%s", text_member(o, "mime"));
    snprintf(out->file, sizeof out->file, "%s", text_member(o, "file"));
    out->info.bytes = int_member(o, "bytes");
    out->info.modified_ms = int_member(o, "modified_ms");
    json_object_put(o);
    return out->info.key[0] && out->info.bytes >= 0 && is_file_name(out->file) ? 0 : -1;
}

int object_read_sidecar(const char *path, struct object *out, struct bp_err *err)
{
    char *text;
    int rc = file_read(path, SIDECAR_MAX, &text, err);
    if (rc < 0)
        return rc;
    rc = sidecar_parse(text, out);
    free(text);
    return rc < 0 ? err_set(err, BP_INVALID, "%s does not describe an object; remove it", path) : 0;
}

int object_read(const char *dir, const char *key, struct object *out, struct bp_err *err)
{
    char hash[OBJECT_HASH_SIZE], path[PATH_SIZE];
    hash_of(key, hash);
    sidecar_path(dir, hash, path);
    int rc = object_read_sidecar(path, out, err);
    if (rc == BP_NOTFOUND || (rc == 0 && strcmp(out->info.key, key) != 0))
        return err_set(err, BP_NOTFOUND, "there is no object %.200s", key);
    return rc;
}

static int sidecar_write(const char *path, const struct object *o, struct bp_err *err)
{
    struct json_object *j = json_object_new_object();
    json_object_object_add(j, "key", json_object_new_string(o->info.key));
    json_object_object_add(j, "mime", json_object_new_string(o->info.mime));
    json_object_object_add(j, "bytes", json_object_new_int64(o->info.bytes));
    json_object_object_add(j, "modified_ms", json_object_new_int64(o->info.modified_ms));
    json_object_object_add(j, "file", json_object_new_string(o->file));
    int rc = file_replace(path, json_object_to_json_string_ext(j, JSON_C_TO_STRING_NOSLASHESCAPE), err);
    json_object_put(j);
    return rc;
}

/* ---- changing objects ---- */

/* Opens and locks the <hh> directory of an object; close() unlocks. */
static int shelf_lock(const char *dir, const char *hash, struct bp_err *err)
{
    char path[PATH_SIZE];
    path_format(path, "%s/%.2s", dir, hash);
    int fresh = mkdir(path, 0700) == 0;
    if (!fresh && errno != EEXIST)
        return err_errno(err, "make the directory", path, errno);
    if (fresh && file_sync_dir(dir) < 0)
        return err_errno(err, "write the directory", dir, errno);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "open", path, errno);
    while (flock(fd, LOCK_EX) < 0)
        if (errno != EINTR) {
            int number = errno;
            close(fd);
            return err_errno(err, "lock", path, number);
        }
    return fd;
}

/* A note in tmp that the file of this name may be left over; object_clean() looks at it after a crash. */
static void note_put(const char *dir, const char *name)
{
    char path[PATH_SIZE];
    path_format(path, "%s/tmp/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
}

static void note_drop(const char *dir, const char *name)
{
    char path[PATH_SIZE];
    path_format(path, "%s/tmp/%s", dir, name);
    unlink(path);
}

static void bytes_drop(const char *dir, const struct object *o)
{
    char path[PATH_SIZE];
    object_path(dir, o, path);
    unlink(path);
    note_drop(dir, o->file);
}

static int sync_file(const char *path, int64_t *bytes, struct bp_err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_errno(err, "open", path, errno);
    int bad = fstat(fd, &st) < 0 || fsync(fd) < 0;
    int number = errno;
    close(fd);
    if (bad)
        return err_errno(err, "write", path, number);
    *bytes = st.st_size;
    return 0;
}

/* Under the shelf's lock: bytes into place, then the sidecar; on error the bytes go back to temp. */
static int publish_locked(const char *dir, const char *temp, const struct object *o, int shelf, struct bp_err *err)
{
    struct object old;
    char hash[OBJECT_HASH_SIZE], sidecar[PATH_SIZE], place[PATH_SIZE];
    hash_of(o->info.key, hash);
    sidecar_path(dir, hash, sidecar);
    object_path(dir, o, place);
    int had = object_read_sidecar(sidecar, &old, NULL) == 0;
    if (had)
        note_put(dir, old.file);
    if (rename(temp, place) < 0)
        return err_errno(err, "publish", place, errno);
    note_put(dir, o->file);
    int rc = fsync(shelf) < 0 ? err_errno(err, "write the directory of", place, errno) : sidecar_write(sidecar, o, err);
    if (rc < 0) {
        rename(place, temp);
        return rc;
    }
    note_drop(dir, o->file);
    if (had)
        bytes_drop(dir, &old);
    return 0;
}

int object_publish(const char *dir, const char *temp, const char *key, const char *mime, int64_t now_ms,
                   struct bp_err *err)
{
    struct object o = {.info.modified_ms = now_ms};
    const char *name = base_name(temp);
    char hash[OBJECT_HASH_SIZE];
    hash_of(key, hash);
    if (!is_file_name(name) || strncmp(name, hash, 64) != 0)
        return err_set(err, BP_INVALID, "%.100s is not a temporary file for the object %.100s", temp, key);
    snprintf(o.info.key, sizeof o.info.key, "%s", key);
    snprintf(o.info.mime, sizeof o.info.mime, "%s", mime && mime[0] ? mime : OBJECT_MIME);
    snprintf(o.file, sizeof o.file, "%s", name);
    int rc = sync_file(temp, &o.info.bytes, err);
    if (rc < 0)
        return rc;
    int shelf = shelf_lock(dir, hash, err);
    if (shelf < 0)
        return shelf;
    rc = publish_locked(dir, temp, &o, shelf, err);
    close(shelf);
    return rc;
}

int object_remove(const char *dir, const char *key, struct bp_err *err)
{
    struct object o;
    char hash[OBJECT_HASH_SIZE], path[PATH_SIZE];
    int rc = object_read(dir, key, &o, err);
    if (rc == BP_NOTFOUND)
        return 0;
    hash_of(key, hash);
    int shelf = shelf_lock(dir, hash, err);
    if (shelf < 0)
        return shelf;
    rc = object_read(dir, key, &o, err);
    sidecar_path(dir, hash, path);
    if (rc == 0) {
        note_put(dir, o.file);
        if (unlink(path) < 0 || fsync(shelf) < 0)
            rc = err_errno(err, "remove", path, errno);
        else
            bytes_drop(dir, &o);
    }
    close(shelf);
    return rc == BP_NOTFOUND ? 0 : rc;
}

/* ---- after a crash ---- */

/* Made by this process: perhaps by another generation of this plugin that is still at it. */
static int is_ours(const char *name)
{
    size_t n = strlen(process_mark());
    return strncmp(name + 65, process_mark(), n) == 0 && name[65 + n] == '.';
}

/* The bytes a note is about go, unless the sidecar says they are the object's. */
static void clean_one(const char *dir, const char *name)
{
    struct object named = {0}, there;
    char hash[OBJECT_HASH_SIZE], path[PATH_SIZE];
    if (!is_file_name(name) || is_ours(name))
        return;
    snprintf(hash, sizeof hash, "%.64s", name);
    snprintf(named.file, sizeof named.file, "%.*s", (int)sizeof named.file - 1, name);
    int shelf = shelf_lock(dir, hash, NULL);
    if (shelf < 0)
        return;
    sidecar_path(dir, hash, path);
    if (object_read_sidecar(path, &there, NULL) == 0 && strcmp(there.file, name) == 0)
        note_drop(dir, name);
    else
        bytes_drop(dir, &named);
    close(shelf);
}

void object_clean(const char *dir)
{
    char path[PATH_SIZE];
    path_format(path, "%s/tmp", dir);
    DIR *d = opendir(path);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));)
        clean_one(dir, e->d_name);
    closedir(d);
}
