/* SPDX-License-Identifier: Apache-2.0 */
#include "child.h"

#include <bp/workflow.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keeper.h"

enum { READ = 0, WRITE = 1 };

/* out, err, control, report: each a pipe. */
struct pipes {
    int out[2], err[2], control[2], report[2];
};

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void pipes_close(struct pipes *p)
{
    int *const all[] = {p->out, p->err, p->control, p->report};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        shut(&all[i][READ]);
        shut(&all[i][WRITE]);
    }
}

static int pipes_open(struct pipes *p, const char *stdout_path)
{
    *p = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
    if (pipe2(p->err, O_CLOEXEC) < 0 || pipe2(p->control, O_CLOEXEC) < 0 || pipe2(p->report, O_CLOEXEC) < 0)
        return -1;
    if (!stdout_path)
        return pipe2(p->out, O_CLOEXEC);
    p->out[WRITE] = open(stdout_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return p->out[WRITE] < 0 ? -1 : 0;
}

int32_t child_start(struct child *c, const struct child_spec *spec, struct bp_err *err)
{
    struct pipes p;
    int bad = pipes_open(&p, spec->stdout_path) < 0;
    pid_t keeper = bad ? -1 : fork();
    if (keeper == 0) {
        struct keeper k = {.spec = spec,
                           .out_fd = p.out[WRITE],
                           .err_fd = p.err[WRITE],
                           .control_fd = p.control[READ],
                           .report_fd = p.report[WRITE]};
        keeper_run(&k);
    }
    int why = errno;
    if (keeper < 0) {
        pipes_close(&p);
        return bp_error(
            err, BP_FAIL, "start the command: %s%s", strerror(why),
            why == EPERM ? "; the workflow's \"sandbox\" must say \"exec\": true, and the settings not forbid it" : "");
    }
    *c = (struct child){keeper, p.out[READ], p.err[READ], p.control[WRITE], p.report[READ]};
    p.out[READ] = p.err[READ] = p.control[WRITE] = p.report[READ] = -1;
    pipes_close(&p);
    if (c->out_fd >= 0)
        fcntl(c->out_fd, F_SETFL, O_NONBLOCK);
    fcntl(c->err_fd, F_SETFL, O_NONBLOCK);
    fcntl(c->report_fd, F_SETFL, O_NONBLOCK);
    return BP_OK;
}

/* A keeper that has ended already does not mind. */
static void tell(struct child *c, char what)
{
    ssize_t n = c->control_fd >= 0 ? write(c->control_fd, &what, 1) : 0;
    (void)n;
}

void child_term(struct child *c)
{
    tell(c, KEEPER_TERM);
}

void child_kill(struct child *c)
{
    tell(c, KEEPER_KILL);
}

int child_ended(struct child *c, struct child_report *out)
{
    ssize_t n = read(c->report_fd, out, sizeof *out);
    if (n == (ssize_t)sizeof *out)
        return 1;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    *out = (struct child_report){CHILD_LOST, 0};
    return 1;
}

void child_close(struct child *c)
{
    if (c->keeper <= 0)
        return;
    shut(&c->control_fd); /* it ends all there is when it sees that */
    while (waitpid(c->keeper, NULL, 0) < 0 && errno == EINTR)
        ;
    shut(&c->out_fd);
    shut(&c->err_fd);
    shut(&c->report_fd);
    c->keeper = 0;
}
