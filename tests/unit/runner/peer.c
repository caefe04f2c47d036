/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS 60000
#define ARGS    32

const char *peer_built(const char *name)
{
    static char path[4][4096];
    static unsigned turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof(path[0]), "%s/%s", getenv("BP_BUILD_DIR"), name);
    return path[turn];
}

static void be_runner(int talk, int verdict, const char *const *rules)
{
    const char *argv[ARGS] = {"bp-runner", "--serve"};
    for (size_t n = 2; rules && *rules && n < ARGS - 1; n++)
        argv[n] = *rules++;
    talk = fcntl(talk, F_DUPFD, 10); /* neither of them is where the other goes */
    verdict = fcntl(verdict, F_DUPFD, 10);
    dup2(talk, 3);
    dup2(verdict, 4);
    execv(peer_built("bin/bp-runner"), (char *const *)(uintptr_t)argv);
    _exit(99);
}

void peer_start(struct peer *p, const char *const *rules)
{
    int talk[2], verdict[2];
    memset(p, 0, sizeof(*p));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk), 0);
    assert_int_equal(pipe2(verdict, O_CLOEXEC), 0);
    p->pid = fork();
    if (p->pid == 0)
        be_runner(talk[1], verdict[1], rules);
    close(talk[1]);
    close(verdict[1]);
    p->fd = talk[0];
    p->verdict_fd = verdict[0];
}

void peer_tell(struct peer *p, const char *json)
{
    struct bp_err err = {0};
    struct json_object *o = json_parse(json, strlen(json), &err);
    assert_non_null(o);
    assert_int_equal(frame_send(p->fd, o, &err), BP_OK);
    json_object_put(o);
}

struct json_object *peer_hear_any(struct peer *p)
{
    struct bp_err err = {0};
    struct json_object *o = NULL;
    int rc = frame_receive(p->fd, &p->in, WAIT_MS, &o, &err);
    assert_true(rc != BP_OK || o);
    return rc == BP_OK ? o : NULL;
}

struct json_object *peer_hear(struct peer *p, const char *type)
{
    for (;;) {
        struct json_object *o = peer_hear_any(p);
        assert_non_null(o);
        if (!strcmp(json_str(o, "type", ""), type))
            return o;
        if (!strcmp(json_str(o, "type", ""), "error"))
            print_error("%s\n", json_text(o));
        assert_string_not_equal(json_str(o, "type", ""), "error");
        json_object_put(o);
    }
}

int peer_finish(struct peer *p)
{
    int status = 0;
    if (p->fd >= 0)
        close(p->fd);
    waitpid(p->pid, &status, 0);
    ssize_t n = read(p->verdict_fd, p->verdict, sizeof(p->verdict) - 1);
    p->verdict[n > 0 ? n : 0] = '\0';
    close(p->verdict_fd);
    frame_buffer_clear(&p->in);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
