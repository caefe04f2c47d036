/* SPDX-License-Identifier: Apache-2.0 */
/* fake_host.h - a host for the local cloud alone: its settings, a state directory, a clock that can be moved. */
#ifndef TEST_FAKE_HOST_H
#define TEST_FAKE_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "local.h"

struct fake {
    char dir[512]; /* the plugin's state directory */
    char *config;
    const char *role;        /* NULL: controller */
    _Atomic int64_t skew_ms; /* added to the clock */
    void *inst;
    struct local *local;
    struct bp_err err;
};

/* Makes a fresh state directory. */
void fake_init(struct fake *f);
/* Starts the plugin with settings: the text of JSON members without braces, "" none. Returns what start() returned. The
 * daemon's URL is http://127.0.0.1:1, its state directory the plugin's, its workers are fake_worker. */
int fake_start(struct fake *f, const char *settings);
void fake_stop(struct fake *f);
/* Stops it if it runs. */
void fake_free(struct fake *f);

/* What was logged so far, all fakes of this process; tests look for a word in it. */
int fake_logged(const char *words);

/* A file below the state directory: write, read (free() it; NULL when absent), is it there. */
void fake_write(struct fake *f, const char *name, const char *text);
char *fake_read(struct fake *f, const char *name);
int fake_exists(struct fake *f, const char *name);
/* Number of entries of a directory below the state directory, 0 when absent. */
int fake_count(struct fake *f, const char *name);
mode_t fake_mode(struct fake *f, const char *name);

int64_t real_ms(void);
/* Waits until the condition holds; fails the test after 60 s. */
#define WAIT_FOR(condition)                                                                                            \
    do {                                                                                                               \
        int64_t wait_until = real_ms() + 60000;                                                                        \
        while (!(condition)) {                                                                                         \
            if (real_ms() > wait_until)                                                                                \
                fail_msg("waited in vain for " #condition);                                                            \
            fake_nap();                                                                                                \
        }                                                                                                              \
    } while (0)
void fake_nap(void);

#endif
