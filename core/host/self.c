/* SPDX-License-Identifier: Apache-2.0 */
#include "host/self.h"
#include "host/queue_batch.h"
#include "log/err.h"
#include "log/log.h"
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SELF_MAGIC 0x5e1f0b9dU

struct bp_self {
    uint32_t magic;
    struct bus *bus;       /* NULL: the daemon has ended, only this plugin has not */
    pthread_rwlock_t lock; /* of bus: it is not freed while a thread of the plugin uses it */
    char *name, *settings, *state_dir;
};

static void plugin_log(struct bp_self *self, int32_t level, const char *fmt, ...) BP_PRINTF(3, 4);

static void plugin_log(struct bp_self *self, int32_t level, const char *fmt, ...)
{
    char line[2048];
    va_list ap;
    assert(self->magic == SELF_MAGIC);
    if (level < BP_LOG_ERROR || level > BP_LOG_DEBUG)
        level = BP_LOG_INFO;
    if (log_get_level(LOG_PLUGIN) < level)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    log_write(LOG_PLUGIN, level, "%s: %s", self->name, line);
}

static int64_t plugin_now_ms(struct bp_self *self)
{
    assert(self->magic == SELF_MAGIC);
    pthread_rwlock_rdlock(&self->lock);
    int64_t now = self->bus ? loop_now_ms(bus_loop(self->bus)) : (int64_t)time(NULL) * 1000;
    pthread_rwlock_unlock(&self->lock);
    return now;
}

static const char *plugin_config(struct bp_self *self)
{
    assert(self->magic == SELF_MAGIC);
    return self->settings;
}

static const char *plugin_state_dir(struct bp_self *self)
{
    assert(self->magic == SELF_MAGIC);
    return self->state_dir;
}

static int32_t plugin_emit(struct bp_self *self, const char *event, const char *fields, struct bp_err *err)
{
    assert(self->magic == SELF_MAGIC);
    if (!event || !fields)
        return err_set(err, BP_INVALID, "emit() needs an event and its fields");
    pthread_rwlock_rdlock(&self->lock);
    int rc = self->bus ? bus_publish_json(self->bus, event, fields, err) : err_set(err, BP_STOPPED, "bpd has ended");
    pthread_rwlock_unlock(&self->lock);
    return rc;
}

static void *plugin_alloc(size_t bytes)
{
    return calloc(1, bytes ? bytes : 1);
}

const struct bp_host host_table = {
    .size = sizeof(struct bp_host),
    .abi = BP_ABI_VERSION,
    .log = plugin_log,
    .now_ms = plugin_now_ms,
    .config = plugin_config,
    .state_dir = plugin_state_dir,
    .emit = plugin_emit,
    .alloc = plugin_alloc,
    .free = free,
    .op_early = queue_op_early,
};

struct bp_self *self_new(struct bus *b, const char *name, const char *settings, const char *state_dir)
{
    struct bp_self *s = calloc(1, sizeof(*s));
    assert(s);
    s->magic = SELF_MAGIC;
    s->bus = b;
    pthread_rwlock_init(&s->lock, NULL);
    s->name = strdup(name);
    s->settings = strdup(settings);
    s->state_dir = strdup(state_dir);
    assert(s->name && s->settings && s->state_dir);
    return s;
}

void self_free(struct bp_self *s)
{
    if (!s)
        return;
    explicit_bzero(s->settings, strlen(s->settings)); /* resolved secrets */
    free(s->name);
    free(s->settings);
    free(s->state_dir);
    pthread_rwlock_destroy(&s->lock);
    memset(s, 0xdb, sizeof(*s));
    free(s);
}

void self_detach(struct bp_self *s)
{
    pthread_rwlock_wrlock(&s->lock);
    s->bus = NULL;
    pthread_rwlock_unlock(&s->lock);
}

const char *self_state_dir(const struct bp_self *s)
{
    return s->state_dir;
}
