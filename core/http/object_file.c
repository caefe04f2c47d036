/* SPDX-License-Identifier: Apache-2.0 */
#include "http/object_file.h"
#include "log/err.h"
#include "log/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TIMEOUT_MS 60000

/* One request to the service; owns its bytes and holds the file. */
struct step {
    struct object_file *file;
    void *bytes;
    size_t n;
    char *mime;
    int ok; /* of commit_local */
    object_reply fn;
    void *arg;
};

struct object_file *object_file_new(struct bus *b, const char *method, const char *target, size_t target_len)
{
    struct object_file *f = calloc(1, sizeof(*f));

    assert(f);
    f->refs = 1;
    f->bus = b;
    f->fd = -1;
    f->method = strdup(method);
    f->target = strndup(target, target_len);
    assert(f->method && f->target);
    return f;
}

void object_file_put(struct object_file *f)
{
    if (!f || --f->refs > 0)
        return;
    if (f->fd >= 0)
        close(f->fd);
    free(f->method);
    free(f->target);
    free(f->path);
    free(f);
}

static void step_free(void *args)
{
    struct step *s = args;

    object_file_put(s->file);
    free(s->bytes);
    free(s->mime);
    free(s);
}

static void replied(void *args, const struct bp_err *err, void *arg)
{
    struct step *s = arg;
    object_reply fn = s->fn;
    void *fn_arg = s->arg;

    (void)args;
    if (fn)
        fn(err, fn_arg);
}

static int send_step(struct object_file *f, struct step *s, const char *name, request_run run, request_reply late,
                     struct bp_err *err)
{
    struct request_spec spec = {
        .service = "objects",
        .name = name,
        .run = run,
        .args = s,
        .args_free = step_free,
        .reply = replied,
        .late = late,
        .arg = s,
        .timeout_ms = TIMEOUT_MS,
    };

    f->refs++;
    s->file = f;
    return bus_request(f->bus, &spec, err);
}

static struct step *step_new(object_reply fn, void *arg)
{
    struct step *s = calloc(1, sizeof(*s));

    assert(s);
    s->fn = fn;
    s->arg = arg;
    return s;
}

static int open_path(struct object_file *f, struct bp_err *err)
{
    int flags = strcmp(f->method, "PUT") == 0 ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY;
    struct stat st;

    f->fd = open(f->path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (f->fd < 0)
        return err_set(err, errno == ENOENT ? BP_NOTFOUND : errno == ENOSPC ? BP_NOSPACE : BP_IO, "open object: %m");
    if (fstat(f->fd, &st) == 0 && S_ISREG(st.st_mode)) {
        f->info.bytes = st.st_size;
        return 0;
    }
    return err_set(err, BP_IO, "open object: it is no plain file");
}

/* On the service's thread. */
static int run_open(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_objects *t = table;
    struct object_file *f = ((struct step *)args)->file;
    int rc;

    if (!BP_HAS(t, open_local) || !BP_HAS(t, commit_local))
        return err_set(err, BP_NOTFOUND, "Objects are not served here.");
    rc = t->open_local(inst, f->method, f->target, &f->path, &f->info, &f->max_bytes, err);
    if (rc)
        return rc;
    f->info.key[sizeof(f->info.key) - 1] = '\0';
    f->info.mime[sizeof(f->info.mime) - 1] = '\0';
    return open_path(f, err);
}

/* On the service's thread. */
static int run_write(const void *table, void *inst, void *args, struct bp_err *err)
{
    struct step *s = args;
    size_t done = 0;

    (void)table;
    (void)inst;
    while (done < s->n) {
        ssize_t w = write(s->file->fd, (char *)s->bytes + done, s->n - done);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return err_set(err, errno == ENOSPC || errno == EDQUOT ? BP_NOSPACE : BP_IO, "write object: %m");
        done += (size_t)w;
    }
    return 0;
}

/* On the service's thread. */
static int run_commit(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_objects *t = table;
    struct step *s = args;
    const char *mime = s->mime ? s->mime : s->file->info.mime;

    return t->commit_local(inst, s->file->info.key, s->file->path, mime, s->ok, err);
}

/* The open came after its deadline: nobody waits for the temporary file. */
static void late_open(void *args, const struct bp_err *err, void *arg)
{
    struct step *s = args;

    (void)arg;
    if (err->rc == 0 && strcmp(s->file->method, "PUT") == 0)
        object_file_discard(s->file);
}

int object_file_open(struct object_file *f, object_reply fn, void *arg, struct bp_err *err)
{
    return send_step(f, step_new(fn, arg), "objects.open", run_open, late_open, err);
}

int object_file_write(struct object_file *f, void *bytes, size_t n, object_reply fn, void *arg, struct bp_err *err)
{
    struct step *s = step_new(fn, arg);

    s->bytes = bytes;
    s->n = n;
    return send_step(f, s, "objects.write", run_write, NULL, err);
}

int object_file_commit(struct object_file *f, const char *mime, object_reply fn, void *arg, struct bp_err *err)
{
    struct step *s = step_new(fn, arg);

    s->ok = 1;
    s->mime = mime ? strdup(mime) : NULL;
    return send_step(f, s, "objects.commit", run_commit, NULL, err);
}

static void discarded(const struct bp_err *err, void *arg)
{
    (void)arg;
    if (err->rc)
        log_warn(LOG_HTTP, "an unfinished upload stays behind as a temporary file: %s", err->text);
}

void object_file_discard(struct object_file *f)
{
    struct bp_err err = {0};

    if (!f->path)
        return;
    if (send_step(f, step_new(discarded, NULL), "objects.discard", run_commit, NULL, &err))
        discarded(&err, NULL);
}
