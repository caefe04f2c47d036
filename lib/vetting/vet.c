/* SPDX-License-Identifier: Apache-2.0 */
#include "vetting/vet.h"
#include "log/err.h"
#include "vetting/settings.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int vet_owner(const struct stat *st, const char *what, struct bp_err *err)
{
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return err_set(err, BP_DENIED, "%s belongs to user %u; it must belong to root or to user %u", what, st->st_uid,
                       geteuid());
    if (st->st_mode & S_IWGRP)
        return err_set(err, BP_DENIED, "%s is writable by its group (mode %04o); run chmod g-w", what,
                       st->st_mode & 07777);
    if (st->st_mode & S_IWOTH)
        return err_set(err, BP_DENIED, "%s is writable by everybody (mode %04o); run chmod o-w", what,
                       st->st_mode & 07777);
    return BP_OK;
}

/* An open fd of the file's directory, vetted, or a negative rc. *base: the last part of path. */
static int dir_open(const char *path, const char **base, struct bp_err *err)
{
    char dir[PATH_MAX];
    struct stat st;
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (!slash || n + 2 > sizeof(dir))
        return err_set(err, BP_INVALID, "its path is not absolute or too long");
    memcpy(dir, path, n ? n : 1);
    dir[n ? n : 1] = '\0';
    *base = slash + 1;
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, errno == ENOENT ? BP_NOTFOUND : BP_DENIED, "its directory cannot be opened: %s",
                       strerror(errno));
    if (fstat(fd, &st) || vet_owner(&st, "its directory", err)) {
        close(fd);
        return BP_DENIED;
    }
    return fd;
}

static int file_open(const char *path, struct bp_err *err)
{
    const char *base;
    int dir = dir_open(path, &base, err);
    if (dir < 0)
        return dir;
    int fd = openat(dir, base, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    int why = errno;
    close(dir);
    if (fd >= 0)
        return fd;
    if (why == ELOOP)
        return err_set(err, BP_DENIED, "it is a symbolic link; put the file itself there");
    if (why == ENOENT)
        return err_set(err, BP_NOTFOUND, "there is no such file");
    return err_set(err, BP_DENIED, "it cannot be read: %s", strerror(why));
}

static int file_check(int fd, int64_t max_bytes, const char *limit, struct stat *st, struct bp_err *err)
{
    if (fstat(fd, st))
        return err_set(err, BP_IO, "it cannot be read: %s", strerror(errno));
    if (!S_ISREG(st->st_mode))
        return err_set(err, BP_INVALID, "it is no regular file");
    if (!(st->st_mode & S_IRUSR))
        return err_set(err, BP_DENIED, "it is not readable by its owner (mode %04o); run chmod u+r",
                       st->st_mode & 07777);
    if (vet_owner(st, "it", err))
        return BP_DENIED;
    if (st->st_size > max_bytes)
        return err_set(err, BP_INVALID, "it has %lld bytes, more than %s (%lld)", (long long)st->st_size, limit,
                       (long long)max_bytes);
    if (st->st_size == 0)
        return err_set(err, BP_LATER, "it is empty");
    return BP_OK;
}

static int same_file(int fd, const struct stat *before)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_size == before->st_size && st.st_mtim.tv_sec == before->st_mtim.tv_sec &&
           st.st_mtim.tv_nsec == before->st_mtim.tv_nsec;
}

/* The text of FILE.sig, malloc'ed; NULL: there is none that can be read. Who wrote it does not matter. */
static char *signature_read(const char *file)
{
    char path[PATH_MAX];
    char *text = malloc(SIGNATURE_MAX_BYTES + 1);
    if (!text || snprintf(path, sizeof(path), "%s" SIGNATURE_ENDING, file) >= (int)sizeof(path)) {
        free(text);
        return NULL;
    }
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, text, SIGNATURE_MAX_BYTES);
    if (fd >= 0)
        close(fd);
    if (n <= 0) {
        free(text);
        return NULL;
    }
    text[n] = '\0';
    return text;
}

static int signature_take(const struct vet_spec *spec, struct vetted *v, struct bp_err *err)
{
    char who[64];
    const char *base = strrchr(spec->path, '/') + 1;
    v->signature = spec->signature ? strdup(spec->signature) : signature_read(spec->path);
    if (!spec->signers)
        return BP_OK;
    if (!v->signature)
        return err_set(err, BP_LATER,
                       "it has no signature %.80s" SIGNATURE_ENDING
                       "; make one with bpctl plugin sign (plugins.signers asks for it)",
                       base);
    if (signature_check(spec->signers, v->signature, strlen(v->signature), v->copy.sha, who, err) == BP_OK)
        return BP_OK;
    return err_prefix(err, "its signature ");
}

static int open_vetted(const struct vet_spec *spec, struct copy *copy, struct bp_err *err)
{
    struct stat st;
    int fd = file_open(spec->path, err);
    if (fd < 0)
        return fd;
    int rc = file_check(fd, spec->max_bytes, "plugins.maxBytes", &st, err);
    if (!rc)
        rc = copy_take(fd, spec->copies, copy, err);
    if (!rc && !same_file(fd, &st))
        rc = err_set(err, BP_LATER, "it changed while it was read");
    close(fd);
    return rc;
}

/* Maps the private copy, which nobody truncates, and reads the manifest from it. */
static struct manifest *copy_manifest(const struct copy *c, struct bp_err *err)
{
    struct stat st;
    struct manifest *m = NULL;
    int fd = open(c->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st)) {
        err_set(err, BP_IO, "its private copy cannot be read: %s", strerror(errno));
    } else {
        size_t n = (size_t)st.st_size;
        void *image = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
        if (image == MAP_FAILED) {
            err_set(err, BP_IO, "its private copy cannot be read: %s", strerror(errno));
        } else {
            m = manifest_read(image, n, err);
            munmap(image, n);
        }
    }
    if (fd >= 0)
        close(fd);
    return m;
}

char *vet_given(struct json_object *plugin_config, const char *name)
{
    struct json_object *given = json_member(plugin_config, name);
    return strdup(given ? json_text(given) : "");
}

static int settings_take(const struct vet_spec *spec, struct vetted *v, struct bp_err *err)
{
    const char *text = spec->plugin_config ? spec->plugin_config : "{}";
    struct json_object *all = json_parse(text, strlen(text), err);
    if (!all)
        return err->rc;
    v->given = vet_given(all, v->manifest->name);
    v->settings = settings_resolve(v->manifest, json_member(all, v->manifest->name), err);
    json_object_put(all);
    return v->settings ? BP_OK : BP_INVALID;
}

int vet_file(const struct vet_spec *spec, struct vetted *out, struct bp_err *err)
{
    memset(out, 0, sizeof(*out));
    int rc = open_vetted(spec, &out->copy, err);
    if (rc)
        return rc;
    rc = signature_take(spec, out, err);
    out->manifest = rc ? NULL : copy_manifest(&out->copy, err);
    if (!rc)
        rc = out->manifest ? settings_take(spec, out, err) : err->rc;
    assert(rc || out->manifest);
    if (!rc)
        rc = copy_keep(&out->copy, spec->copies, out->manifest->name, err);
    if (rc)
        copy_drop(&out->copy);
    return rc;
}

static int text_read(int fd, char *text, size_t bytes, struct bp_err *err)
{
    for (size_t n = 0; n < bytes;) {
        ssize_t got = pread(fd, text + n, bytes - n, (off_t)n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(err, BP_IO, "it cannot be read: %s", strerror(errno));
        if (got == 0)
            return err_set(err, BP_LATER, "it changed while it was read");
        n += (size_t)got;
    }
    return BP_OK;
}

int vet_definition(const struct vet_spec *spec, struct vetted *out, struct bp_err *err)
{
    struct stat st;
    memset(out, 0, sizeof(*out));
    int fd = file_open(spec->path, err);
    if (fd < 0)
        return fd;
    int rc = file_check(fd, DEFINITION_MAX_BYTES, "a workflow's file may have", &st, err);
    char *text = rc ? NULL : malloc((size_t)st.st_size);
    if (!rc)
        rc = text ? text_read(fd, text, (size_t)st.st_size, err) : err_set(err, BP_NOMEM, "no memory to read it");
    if (!rc && !same_file(fd, &st))
        rc = err_set(err, BP_LATER, "it changed while it was read");
    if (!rc) {
        out->definition = definition_read(spec->path, text, (size_t)st.st_size, err);
        rc = out->definition ? BP_OK : err->rc;
    }
    free(text);
    close(fd);
    return rc;
}

void vetted_clear(struct vetted *v)
{
    copy_drop(&v->copy);
    definition_free(v->definition);
    manifest_free(v->manifest);
    json_object_put(v->settings);
    free(v->given);
    free(v->signature);
    memset(v, 0, sizeof(*v));
}
