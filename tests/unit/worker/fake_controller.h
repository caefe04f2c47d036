/* SPDX-License-Identifier: Apache-2.0 */
/* fake_controller.h - a controller and an object store on the test's own loop, that answer as the test says. */
#ifndef TEST_FAKE_CONTROLLER_H
#define TEST_FAKE_CONTROLLER_H

#include "log/json.h"
#include "loop/loop.h"

#include <event2/http.h>

#define FAKE_CALLS_MAX   4096
#define FAKE_OBJECTS_MAX 16

/* One call of /api/worker/<name>, as it came. */
struct fake_call {
    char name[16];
    char token[128]; /* bearer token, or the fleet secret */
    struct json_object *body;
    int status; /* what it was answered with */
};

struct fake_object {
    char key[64];
    char *bytes;
    size_t n;
    int puts, gets;
    char type[64]; /* Content-Type of the last PUT */
};

struct fake {
    struct loop *loop;
    struct evhttp *http;
    char url[64];
    struct fake_call calls[FAKE_CALLS_MAX];
    int n_calls;
    struct fake_object objects[FAKE_OBJECTS_MAX];
    int n_objects;
    struct json_object *jobs[8]; /* to be leased, in order */
    int n_jobs, next_job;
    struct evhttp_request *waiting; /* a long poll */
    int tokens;                     /* given; only the last one is good */
    int revoked;                    /* 401 "Worker not approved." */
    int forget_token;               /* the last token is unknown now */
    int draining, cancel, lost;     /* of the lease: lost answers 404 */
    int down;                       /* every answer is 503 */
    int fail_completes;             /* so many completes are answered 500 */
    int refuse_completes;           /* so many are answered 422 */
    int takes;                      /* a complete may take the next job; 0: as older controllers, which do not know */
    int hold_completes;             /* they are answered by fake_wake() */
    struct evhttp_request *ending;  /* one that is held */
    int store_down;                 /* so many object requests are answered 500 */
    int url_version;                /* URLs of an older version are answered 403 */
    int64_t released_ms;            /* when a workflow was released from quarantine */
    double heartbeat_s;
};

struct fake *fake_new(struct loop *l);
void fake_free(struct fake *f);
/* A job of workflow test-copy with these params and one input "photo" (unless n_inputs is 0), ready for the next poll.
 */
struct json_object *fake_add_job(struct fake *f, int64_t id, const char *params_json, int n_inputs);
void fake_put_object(struct fake *f, const char *key, const char *text);
struct fake_object *fake_object(struct fake *f, const char *key); /* NULL when there is none */
int fake_count(const struct fake *f, const char *name);           /* of calls answered 200 */
int fake_tried(const struct fake *f, const char *name);           /* of calls */
/* Body of the last call of that name that was answered 200; NULL when there was none. */
struct json_object *fake_last(const struct fake *f, const char *name);
/* Answers a waiting poll with a job that was added, or with none. */
void fake_wake(struct fake *f);

#endif
