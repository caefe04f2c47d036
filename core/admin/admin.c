/* SPDX-License-Identifier: Apache-2.0 */
#include "admin_priv.h"

#include "log/err.h"
#include "log/log.h"
#include <errno.h>
#include <event2/event.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_CONNS 64

static void accepted(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
    (void)l;
    (void)sa;
    (void)len;
    struct admin *a = arg;
    if (a->n_conns >= MAX_CONNS) {
        log_warn(LOG_ADMIN, "refused a connection: %d are open", MAX_CONNS);
        close(fd);
        return;
    }
    conn_accept(a, fd);
}

/* A socket file nobody answers is a left-over of a killed daemon. */
static int is_served(const struct sockaddr_un *at)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int yes = fd >= 0 && connect(fd, (const struct sockaddr *)at, sizeof *at) == 0;
    if (fd >= 0)
        close(fd);
    return yes;
}

static void give_to_group(const char *path, const char *name)
{
    struct group *g = name[0] ? getgrnam(name) : NULL;
    if (name[0] && !g)
        log_warn(LOG_ADMIN, "admin.group: there is no group %s", name);
    if (g && chown(path, (uid_t)-1, g->gr_gid) < 0)
        log_warn(LOG_ADMIN, "admin.group: cannot give %s to group %s: %s", path, name, strerror(errno));
}

static int open_socket(struct admin *a, struct bp_err *err)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s", a->path);
    if (is_served(&at))
        return err_set(err, BP_CONFLICT, "another bpd serves %s; stop it, or set admin.socket", a->path);
    unlink(a->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t old = umask(0117); /* born 0660: never open for a moment */
    int rc = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&at, sizeof at);
    umask(old);
    if (rc < 0 || listen(fd, 16) < 0) {
        int why = errno;
        if (fd >= 0)
            close(fd);
        return err_set(err, BP_IO, "cannot listen on the admin socket %s: %s", a->path, strerror(why));
    }
    give_to_group(a->path, config_str(a->app->config, CONFIG_ADMIN_GROUP));
    a->listener =
        evconnlistener_new(loop_base(a->app->loop), accepted, a, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (!a->listener) {
        close(fd);
        return err_set(err, BP_NOMEM, "no memory for the admin socket");
    }
    return 0;
}

struct admin *admin_new(struct app *app, struct bp_err *err)
{
    const char *path = config_str(app->config, CONFIG_ADMIN_SOCKET);
    struct admin *a = calloc(1, sizeof *a);
    if (!a) {
        err_set(err, BP_NOMEM, "no memory for the admin socket");
        return NULL;
    }
    a->app = app;
    int n = path[0] ? snprintf(a->path, sizeof a->path, "%s", path)
                    : snprintf(a->path, sizeof a->path, "%s/bpd.sock", app->state_dir);
    if (n < 0 || (size_t)n >= sizeof a->path) {
        err_set(err, BP_INVALID,
                "the path of the admin socket is longer than %zu bytes; set admin.socket to a shorter one",
                sizeof a->path - 1);
        free(a);
        return NULL;
    }
    if (open_socket(a, err) < 0) {
        free(a);
        return NULL;
    }
    a->checkup = checkup_new();
    memcpy(app->admin_path, a->path, sizeof app->admin_path);
    return a;
}

void admin_free(struct admin *a)
{
    if (!a)
        return;
    while (a->conns)
        conn_free(a->conns);
    if (a->listener) {
        evconnlistener_free(a->listener);
        unlink(a->path);
    }
    checkup_unref(a->checkup);
    free(a);
}
