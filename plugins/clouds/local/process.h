/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.h - processes that outlive the one who started them: told apart from later ones that have the same number by
 * their start time, watched through a pidfd, ended with everything in their session.
 */
#ifndef LOCAL_PROCESS_H
#define LOCAL_PROCESS_H

#include <bp/plugin.h>
#include <sys/types.h>

/* One process. fd < 0: none. */
struct process {
    pid_t pid;
    int fd;         /* pidfd */
    uint64_t start; /* clock ticks since boot at which it started */
    char boot[40];  /* id of the machine's boot it belongs to */
};

struct process_spec {
    char *const *argv; /* argv[0] is the program's path */
    char *const *envp;
    const char *dir;    /* working directory */
    const char *output; /* file that stdout and stderr are appended to */
};

/* Starts a session of its own: no descriptor but 0 (/dev/null), 1 and 2, no blocked signal. process_close() it. */
int process_start(const struct process_spec *spec, struct process *out, struct bp_err *err);
/* Opens the process again that had this pid, start and boot; BP_NOTFOUND when it has ended. */
int process_adopt(struct process *p, struct bp_err *err);
/* The pid of a process of this user that has the word `argument` in its command line, 0 when there is none. */
pid_t process_find(const char *argument);
/* Fills start and boot of p->pid. BP_NOTFOUND. */
int process_identify(struct process *p, struct bp_err *err);
/* Sends a signal to it alone. Nothing happens when it has ended. */
void process_signal(const struct process *p, int signo);
/* SIGKILL to it and to all processes of its session. */
void process_kill(const struct process *p);
/* Has it ended? If so and it is our child, it is reaped (once what is left of its session was killed) and *status is
 * its wait status; -1 when somebody else's child. 1 yes, 0 no. */
int process_ended(const struct process *p, int *status);
void process_close(struct process *p);
/* Words of a wait status: "exit status 3", "killed by signal 9", "ended". */
void process_words(int status, char *out, size_t n);

/* A mark of this very process, different in every other now or later: "<pid>-<start>". Borrowed for ever. */
const char *process_mark(void);

#endif
