/* SPDX-License-Identifier: Apache-2.0 */
/* rig.h - a worker with a fake host and a fake controller, real runners and the workflow test-copy. */
#ifndef TEST_WORKER_RIG_H
#define TEST_WORKER_RIG_H

#include "fake_controller.h"
#include "worker/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct rig {
    struct loop *loop;
    struct bus *bus;
    struct config *config;
    struct fake *fake;
    struct worker *worker;
    int ended, exit_status; /* of the worker */
    int32_t notice;         /* what the node service says */
    int held_up, released;  /* how often it was told that the instance must not end yet, and that it may */
    struct actor *node;
};

/* settings: NULL-terminated "key=value", or NULL. */
struct rig *rig_new(const char *const *settings);
/* The same with a node service, whose notice is rig->notice. */
struct rig *rig_new_with_node(const char *const *settings);
void rig_free(struct rig *r);
/* Runs the loop until test(r) holds; fails the test after 60 s. */
#define rig_until(r, test) rig_until_(r, test, #test, __FILE__, __LINE__)
void rig_until_(struct rig *r, int (*test)(struct rig *r), const char *what, const char *file, int line);
/* Runs the loop for that long. */
void rig_run_ms(struct rig *r, int64_t ms);
int rig_has_ended(struct rig *r);
int rig_polls(struct rig *r);     /* a poll waits */
int rig_completed(struct rig *r); /* one complete was accepted */
int rig_failed(struct rig *r);
int rig_requeued(struct rig *r);
/* Faults that the host was told of. */
int rig_faults(void);
/* The workflow is in quarantine here, until it is released. */
void rig_quarantine(const char *why);
/* The output as JSON (test-copy's report). Borrowed until the next call. */
struct json_object *rig_report(struct rig *r);

#endif
