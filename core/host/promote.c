/* SPDX-License-Identifier: Apache-2.0 */
/* promote.c - a candidate that did well takes the place of the file that serves. */
#include "host/candidate.h"
#include "log/err.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

/* Two files to put in place. Everything in it is its own. */
struct install {
    char from[PATH_MAX], signature[PATH_MAX]; /* the private copy that was tried; what was kept of its .sig */
    char to[PATH_MAX];                        /* the plugin's file */
};

/* Who waits for it. */
struct promotion {
    struct host *host;
    char *plugin;
    struct outcome outcome;
};

static int copy_bytes(int in, int out)
{
    for (;;) {
        ssize_t n = sendfile(out, in, NULL, 1 << 20);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return (int)n;
    }
}

int file_put(const char *from, const char *to, struct bp_err *err)
{
    char temp[PATH_MAX];
    const char *slash = strrchr(to, '/');
    int dir = (int)(slash - to) + 1;
    if (snprintf(temp, sizeof(temp), "%.*s.%s.new", dir, to, slash + 1) >= (int)sizeof(temp))
        return err_set(err, BP_INVALID, "the path %.80s... is too long", to);
    int in = open(from, O_RDONLY | O_CLOEXEC);
    unlink(temp);
    int out = in < 0 ? -1 : open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    int bad = out < 0 || copy_bytes(in, out) < 0 || fchmod(out, 0644) < 0 || fsync(out) < 0;
    int why = errno;
    if (in >= 0)
        close(in);
    if (out >= 0 && close(out) < 0 && !bad) {
        bad = 1;
        why = errno;
    }
    if (!bad && rename(temp, to) == 0)
        return BP_OK;
    why = bad ? why : errno;
    unlink(temp);
    int may_not = why == EACCES || why == EPERM || why == EROFS;
    return err_set(err, may_not ? BP_DENIED : BP_IO, "cannot write %.180s: %s", to, strerror(why));
}

/* The signature first: what runs keeps running while the file beside it waits for its content. */
static int install_run(const void *table, void *inst, void *args, struct bp_err *err)
{
    char to[PATH_MAX + 8];
    struct install *i = args;
    (void)table, (void)inst;
    snprintf(to, sizeof(to), "%s" SIGNATURE_ENDING, i->to);
    int rc = access(i->signature, F_OK) == 0 ? file_put(i->signature, to, err) : BP_OK;
    return rc < 0 ? rc : file_put(i->from, i->to, err);
}

static void promotion_end(struct promotion *p, const struct bp_err *err)
{
    outcome_end(p->host, &p->outcome, err);
    free(p->plugin);
    free(p);
}

static void serves(const struct bp_err *err, void *arg)
{
    struct promotion *p = arg;
    if (err->rc == BP_OK)
        host_candidate_drop(p->host, p->plugin);
    promotion_end(p, err);
}

static void installed(void *args, const struct bp_err *err, void *arg)
{
    struct promotion *p = arg;
    (void)args;
    if (err->rc)
        promotion_end(p, err);
    else
        host_reload(p->host, p->plugin, serves, p);
}

void host_promote(struct host *h, const char *plugin, host_done done, void *arg)
{
    struct bp_err err = {0};
    struct plugin *of = plugin_find(h, plugin);
    struct promotion *p = calloc(1, sizeof(*p));
    struct install *i = calloc(1, sizeof(*i));
    ASSERT_HOST(h);
    assert(p && i);
    *p = (struct promotion){h, strdup(plugin), {.done = done, .arg = arg}};
    assert(p->plugin);
    const struct candidate *k = host_candidate(h, plugin);
    snprintf(i->from, sizeof(i->from), "%s", k ? k->file : "");
    snprintf(i->signature, sizeof(i->signature), "%s/canary/%s.so" SIGNATURE_ENDING, h->state_dir, plugin);
    snprintf(i->to, sizeof(i->to), "%s", of ? of->file : "");
    struct request_spec spec = {.service = FILES_SERVICE,
                                .name = "host.promote",
                                .run = install_run,
                                .args = i,
                                .args_free = free,
                                .reply = installed,
                                .arg = p,
                                .timeout_ms = 120000};
    int there = of && k;
    if (!there) {
        err_set(&err, BP_NOTFOUND, "%.64s has no candidate", plugin);
        free(i);
    }
    if (there && bus_request(h->bus, &spec, &err) == 0)
        return;
    outcome_end_soon(h, &p->outcome, &err);
    free(p->plugin);
    free(p);
}
