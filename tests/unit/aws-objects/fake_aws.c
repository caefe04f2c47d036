/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_aws.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int64_t fake_now_ms = 1769860800000LL;
static char lines[65536];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void host_log(struct bp_self *self, int32_t level, const char *fmt, ...) BP_PRINTF(3, 4);

static void host_log(struct bp_self *self, int32_t level, const char *fmt, ...)
{
    va_list ap;
    (void)self, (void)level;
    pthread_mutex_lock(&mutex);
    size_t n = strlen(lines);
    va_start(ap, fmt);
    vsnprintf(lines + n, sizeof lines - n, fmt, ap);
    va_end(ap);
    pthread_mutex_unlock(&mutex);
}

static int64_t host_now(struct bp_self *self)
{
    (void)self;
    return fake_now_ms;
}

static const char *host_state_dir(struct bp_self *self)
{
    (void)self;
    return "state";
}

static void *host_alloc(size_t n)
{
    return calloc(1, n);
}

static const struct bp_host host = {.size = sizeof host,
                                    .abi = BP_ABI_VERSION,
                                    .log = host_log,
                                    .now_ms = host_now,
                                    .state_dir = host_state_dir,
                                    .alloc = host_alloc,
                                    .free = free};

const char *fake_log(void)
{
    return lines;
}

struct aws *fake_aws(const char *settings)
{
    struct aws *a = calloc(1, sizeof *a);
    struct bp_err err = {0};
    assert_non_null(a);
    lines[0] = '\0';
    mkdir("state", 0700);
    a->host = &host;
    if (settings_open(&a->settings, settings, &err) < 0)
        fail_msg("%s", err.text);
    return a;
}

void fake_aws_free(struct aws *a)
{
    settings_close(&a->settings);
    free(a);
}

char *aws_text(const struct aws *a, const char *text)
{
    (void)a;
    return strdup(text);
}
