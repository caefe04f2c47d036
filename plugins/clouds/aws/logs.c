/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logs.c - facet bp.logs/1: lines go to a spool on disk, from where a thread sends them to CloudWatch Logs. When the
 * disk takes none they are sent while the caller waits.
 */
#include "background.h"
#include "err.h"
#include "logs_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_MS 5000

/* ---- what comes in ---- */

static int check_group(const char *group, struct bp_err *err)
{
    size_t n = group ? strlen(group) : 0;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)group[i]) && !strchr("._-/#", group[i]))
            n = 0;
    return n >= 1 && n <= LOG_GROUP_MAX
               ? 0
               : err_set(
                     err, BP_INVALID,
                     "\"%.100s\" is no log group: those have 1 to %d letters, digits and . _ - / # (log.forwardGroup)",
                     group ? group : "", LOG_GROUP_MAX);
}

/* A stream's name may hold no ':' and '*'. */
static int name_stream(const char *stream, char out[LOG_STREAM_MAX + 1], struct bp_err *err)
{
    size_t n = stream ? strlen(stream) : 0;
    if (n < 1 || n > LOG_STREAM_MAX)
        return err_set(err, BP_INVALID, "the name of a log stream has 1 to %d bytes", LOG_STREAM_MAX);
    for (size_t i = 0; i <= n; i++)
        out[i] = stream[i] == ':' || stream[i] == '*' ? '-' : stream[i];
    return 0;
}

/* The lines as records; free() them and *texts. */
static struct log_record *make_records(const char *group, const char *stream, const struct bp_log_line *lines,
                                       uint32_t n, char **texts)
{
    struct log_record *r = calloc(n, sizeof *r);
    char *clean = malloc(LOG_EVENT_MAX + 1);
    size_t bytes = 0, at = 0;
    *texts = NULL;
    for (uint32_t i = 0; i < n; i++) {
        size_t k = lines[i].text ? strlen(lines[i].text) : 0;
        bytes += (k < LOG_EVENT_MAX ? k : LOG_EVENT_MAX) + 2;
    }
    if (r && clean)
        *texts = malloc(bytes);
    for (uint32_t i = 0; *texts && i < n; i++) {
        uint32_t k = (uint32_t)log_text_clean(lines[i].text, clean);
        r[i] = (struct log_record){lines[i].at_ms, group, stream, memcpy(*texts + at, clean, k + 1), k};
        at += k + 1;
    }
    free(clean);
    if (*texts)
        return r;
    free(r);
    return NULL;
}

/* The disk takes none. When CloudWatch takes none either they come again, those too that it took before it stopped. */
static int send_now(struct logs *g, const struct log_record *r, uint32_t n, struct bp_err *err)
{
    uint32_t most = LOG_BATCH_EVENTS, sent = 0;
    int refused = 0;
    for (uint32_t done = 0; done < n;) {
        int rc = logs_send(g, r + done, n - done, most, &sent, err);
        if (rc < 0 && rc != BP_INVALID)
            return BP_LATER;
        most = rc == 0 || sent == 1 ? LOG_BATCH_EVENTS : sent / 2;
        refused |= rc < 0 && sent == 1;
        done += rc == 0 || sent == 1 ? sent : 0;
    }
    return refused ? BP_INVALID : 0;
}

static int put_records(struct logs *g, const struct log_record *r, uint32_t n, struct bp_err *err)
{
    struct bp_err why = {0};
    int rc = g->spool ? log_spool_append(g->spool, r, n, &why) : BP_IO;
    if (rc == 0) {
        background_wake(g->sender);
        return 0;
    }
    if (rc == BP_TOOLARGE)
        return err_set(err, rc, "%s", why.text);
    rc = send_now(g, r, n, err);
    if (rc == BP_LATER && why.text[0])
        err_set(err, rc, "log lines can neither be kept nor sent: %.150s", why.text);
    return rc;
}

static int32_t put_at(void *inst, const char *group, const char *stream, const struct bp_log_line *lines, uint32_t n,
                      struct bp_err *err)
{
    struct logs *g = ((struct aws *)inst)->logs;
    char name[LOG_STREAM_MAX + 1], *texts;
    int rc = check_group(group, err);
    if (rc < 0 || (rc = name_stream(stream, name, err)) < 0 || !n)
        return rc;
    struct log_record *r = make_records(group, name, lines, n, &texts);
    if (!r)
        return err_set(err, BP_LATER, "no memory for %u log lines", n);
    rc = put_records(g, r, n, err);
    free(r);
    free(texts);
    return rc;
}

static int32_t put(void *inst, const char *group, const char *stream, const char *const *lines, uint32_t n,
                   struct bp_err *err)
{
    int64_t now = AWS_NOW((struct aws *)inst);
    struct bp_log_line *timed = calloc(n ? n : 1, sizeof *timed);
    if (!timed)
        return err_set(err, BP_LATER, "no memory for %u log lines", n);
    for (uint32_t i = 0; i < n; i++)
        timed[i] = (struct bp_log_line){now, lines[i]};
    int rc = put_at(inst, group, stream, timed, n, err);
    free(timed);
    return rc;
}

/* ---- life ---- */

static void open_spool(struct logs *g)
{
    struct bp_err err = {0};
    char dir[4096];
    const char *state = g->aws->host->state_dir(g->aws->self);
    snprintf(dir, sizeof dir, "%.4000s/log-spool", state ? state : ".");
    g->spool = log_spool_open(dir, settings_int(&g->aws->settings, "logSpoolBytes", 256 << 20), &err);
    if (!g->spool)
        AWS_LOG(g->aws, BP_LOG_WARN, "log lines cannot wait on disk while CloudWatch is away: %s", err.text);
}

struct logs *logs_open(struct aws *a, struct bp_err *err)
{
    struct logs *g = calloc(1, sizeof *g);
    if (g)
        g->batch = calloc(LOG_BATCH_EVENTS, sizeof *g->batch);
    if (!g || !g->batch) {
        free(g);
        err_set(err, BP_NOMEM, "no memory for logs");
        return NULL;
    }
    g->aws = a;
    g->limit = LOG_BATCH_EVENTS;
    g->retention_days = settings_int(&a->settings, "logRetentionDays", 30);
    pthread_mutex_init(&g->mutex, NULL);
    open_spool(g);
    if (!g->spool)
        return g;
    g->sender = background_start(logs_send_step, g, err);
    if (g->sender) {
        background_wake(g->sender); /* for what a former process left */
        return g;
    }
    logs_close(g);
    return NULL;
}

void logs_close(struct logs *g)
{
    if (!g)
        return;
    background_stop(g->sender, DRAIN_MS);
    log_spool_close(g->spool);
    pthread_mutex_destroy(&g->mutex);
    free(g->batch);
    free(g);
}

const struct bp_logs logs_facet = {.size = sizeof(struct bp_logs), .put = put, .put_at = put_at};
