/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_priv.h - the inside of the credentials, for the credentials*.c files: sources, and how one is kept fresh.
 */
#ifndef AWS_CREDENTIALS_PRIV_H
#define AWS_CREDENTIALS_PRIV_H

#include "aws.h"
#include "credentials.h"

#include <pthread.h>
#include <stdatomic.h>

struct profiles;

/* Where sets come from. The first member of each source's own struct; every function is called by one thread at a time.
 */
struct source {
    struct aws *aws;
    char name[96];      /* "role bpd-controller of profile prod" */
    const char *remedy; /* static */
    /* A new set in *out, which is zeroed before: all but serial; source is set where the source's name does not say
     * all. May block, up to half a minute. BP_DENIED (what it says is not enough), BP_LATER (it does not answer),
     * BP_INVALID: the sentence names the source. */
    int (*fetch)(struct source *s, struct aws_creds *out, struct bp_err *err);
    /* 1: what it is made of changed since the last fetch; cheap. NULL: it cannot tell. */
    int (*is_changed)(struct source *s);
    void (*close)(struct source *s); /* frees it */
    int may_be_late;                 /* 1: a set that is over is better than none */
};

/* A zeroed source of `size` bytes; NULL with err. */
void *source_new(struct aws *a, size_t size, struct bp_err *err);
void source_close(struct source *s); /* NULL is fine */

/* credentials_chain.c: the source that settings, environment and files choose. NULL with err: none, or one that lacks
 * something. */
struct source *source_choose(struct aws *a, struct bp_err *err);
/* credentials_environment.c: NULL without err when its variables are not set; with err when some of them are. */
struct source *environment_source(struct aws *a, struct bp_err *err);
/* credentials_profile.c: what a profile says, with the profiles and sources it leans on. NULL without err when it has
 * nothing about credentials. */
struct source *profile_source(struct aws *a, const struct profiles *p, const char *profile, struct bp_err *err);
/* credentials_process.c: a command line, run without a shell. */
struct source *process_source(struct aws *a, const char *profile, const char *command, struct bp_err *err);
/* Splits a command line into at most `most` words, in place: blanks divide, quotes hold together, a backslash takes the
 * next letter as it is outside of single quotes. The number, or -1: a quote is open, too many, or none. */
int process_words(char *line, char **words, int most);
/* credentials_web.c: of the environment (NULL without err when its variable is not set), or as a profile says. */
struct source *web_source(struct aws *a, struct bp_err *err);
struct web_spec {
    const char *token_file, *role_arn, *session_name; /* session_name NULL: one of ours */
    const char *from;                                 /* "the environment", "profile x" */
    int duration_s;                                   /* 0: as long as the role says */
};
struct source *web_source_new(struct aws *a, const struct web_spec *w, struct bp_err *err);
/* credentials_role.c: the role by the credentials of `base`, which is the new source's from here on, also on failure.
 */
struct role_spec {
    const char *role_arn, *session_name, *external_id; /* the last two may be NULL */
    const char *profile;
    int duration_s; /* 0: as long as the role says */
};
struct source *role_source(struct aws *a, const struct role_spec *r, struct source *base, struct bp_err *err);
/* credentials_container.c: NULL without err when its variables are not set. */
struct source *container_source(struct aws *a, struct bp_err *err);
/* May credentials be asked for at this URL? https anywhere, http on loopback and where containers find them. */
int container_url_ok(const char *url);
/* credentials_instance.c */
struct source *instance_source(struct aws *a, struct bp_err *err);

/* credentials_answer.c */
/* A set from the JSON text of a container, the instance or a process, whose token is the member `token`. The strings of
 * the text's copy are zeroed. BP_INVALID says what is missing, without any value. */
int creds_from_json(const char *text, const char *token, struct aws_creds *out, struct bp_err *err);
struct reply;
/* A set from STS's answer. */
int creds_from_sts(const struct reply *r, struct aws_creds *out, struct bp_err *err);
/* "2026-01-31T12:00:00Z", also with a fraction and an offset; milliseconds, -1: no time. */
int64_t creds_time(const char *text);
/* A session's name that says who we are: "bpd-prod-i-0abc"; STS takes 2 to 64 of [A-Za-z0-9_+=,.@-]. */
void creds_session_name(const struct aws *a, char out[65]);
int creds_session_name_ok(const char *name);
/* Copies when it fits. 0: it does not, or from is NULL or empty. */
int creds_copy(char *to, size_t size, const char *from);

/* ---- keeping a set: credentials.c ---- */

struct credentials {
    struct aws *aws;
    struct source *source; /* NULL: broken says why */
    struct bp_err broken;
    int64_t (*clock_ms)(void); /* wall clock; tests have their own */
    atomic_llong skew_ms;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t moved;  /* a flight ended, the thread has something to do */
    struct aws_creds *now; /* pages of their own, in no core dump; key_id "": none yet */
    size_t room;
    int flying, stopping, has_thread;
    pthread_t thread;
    int64_t due_ms;    /* of the renewal in the background, wall clock; INT64_MAX: never */
    int64_t tried_ms;  /* when the last flight ended, 0: none did */
    int failures;      /* flights in a row */
    struct bp_err why; /* of the last failure */
    int64_t forced_ms; /* begin of the minute that `forced` counts renewals of */
    int forced;
    int64_t looked_ms; /* is_changed was asked */
};

/* As creds_open, with a source (taken over) and a clock of the caller's. */
struct credentials *creds_open_with(struct aws *aws, struct source *s, int64_t (*clock_ms)(void), struct bp_err *err);
/* Renews when that is due: what the thread does. Milliseconds until it is due again, at most a minute. */
int64_t creds_tick(struct credentials *c);

#endif
