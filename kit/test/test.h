/* SPDX-License-Identifier: Apache-2.0 */
/* test.h - what the files of this folder share: the plugin under test and all that surrounds it. */
#ifndef KIT_TEST_H
#define KIT_TEST_H

#include <bp/device.h>
#include <bp/job.h>
#include <bp/sdk.h>
#include <bp/test.h>
#include <pthread.h>

#define TEXT_BYTES 65536
#define DIR_BYTES  512

/* Text that grows to TEXT_BYTES and then forgets its first half. */
struct notes {
    char text[TEXT_BYTES];
    size_t used;
};

/* The handle the plugin hands back to its host is the test itself, so that two plugins under test never mix. */
struct bp_test {
    const struct bp_plugin *plugin;
    void *inst;
    char *settings;
    char dir[DIR_BYTES];
    /* the host */
    pthread_mutex_t lock; /* of what follows, up to the device */
    struct notes log, events;
    char *shown; /* the copy of a text that was given out last */
    int64_t now_ms;
    int64_t blocks;  /* of bp_host.alloc that were not freed */
    int64_t fail_in; /* calls until one fails; 0: none will */
    int32_t failed;
    /* the device; NULL until the first job */
    struct bp_device *real;
    struct bp_device counted; /* the real one's table, with the functions of device.c in front */
    int64_t buffers, host_blocks, modules, queues, events_open; /* that were not freed */
    const struct bp_job_facet *facet;
    void *state;
    /* the job */
    struct bp_test_job *job;
    int32_t attempt;
    uint8_t *checkpoint;
    uint64_t checkpoint_bytes;
};

/* The host's table; alloc() and free() have no handle and count for the bp_test that called test_host_of() last. */
extern const struct bp_host test_host;
void test_host_of(struct bp_test *t);
/* Appends printf's text and a line's end. Any thread. */
void test_note(struct bp_test *t, struct notes *n, const char *fmt, ...) BP_PRINTF(3, 4);
/* 1: this call is the one that was chosen to fail. Any thread. */
int32_t test_fails_now(struct bp_test *t);
/* test_fails_now() for a call of the device: rc with a sentence, or BP_OK. */
int32_t test_device_fails(struct bp_test *t, int32_t rc, const char *what, struct bp_err *err);
struct bp_test *test_of_device(const struct bp_device *dev);
/* The functions that came after ABI 1.0: queues, events, page-locked memory. */
void test_device_queues(struct bp_test *t);
/* Opens the device and puts the account in front of it. */
int32_t test_device_open(struct bp_test *t, struct bp_err *err);
void test_device_close(struct bp_test *t);
/* Removes a directory with all that is in it. */
void test_remove(const char *dir);

#endif
