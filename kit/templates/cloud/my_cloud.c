/*
 * A cloud plugin that offers one service, notify: messages to operators become lines of a file. Facets are tables of
 * plain functions that may block; bpd calls them on a thread of this plugin's own. Others (objects, params, metrics,
 * fleet,
 * ...) are added in the same way: bp/cloud.h and bp/fleet.h have their tables, the manifest names those that are
 * offered.
 */
#include <bp/check.h>
#include <bp/cloud.h>
#include <bp/sdk.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct my_cloud_plugin {
    struct bp_self *self;
    const struct bp_host *host;
    char path[1024];
    int64_t repeat_ms;
    char last_key[128];
    int64_t last_ms;
};

/* One line, all of it or an error. */
static int32_t append(const struct my_cloud_plugin *c, const char *subject, const char *text, struct bp_err *err)
{
    FILE *f = fopen(c->path, "ae");
    if (!f)
        return bp_error(err, BP_IO, "cannot open %.150s: %s", c->path, strerror(errno));
    int bad = fprintf(f, "%lld %s: %s\n", (long long)c->host->now_ms(c->self), subject, text) < 0;
    bad |= fclose(f) != 0;
    return bad ? bp_error(err, BP_IO, "cannot write to %.150s: %s", c->path, strerror(errno)) : BP_OK;
}

/* ---- bp.notify/1 ---- */

static int32_t notify_send(void *inst, const char *subject, const char *text, const char *dedup_key, struct bp_err *err)
{
    struct my_cloud_plugin *c = inst;
    const char *key = dedup_key ? dedup_key : "";
    int64_t now = c->host->now_ms(c->self);
    if (!*subject)
        return bp_error(err, BP_INVALID, "a message needs a subject");
    if (*key && strcmp(key, c->last_key) == 0 && now - c->last_ms < c->repeat_ms)
        return BP_OK;
    int32_t rc = append(c, subject, text, err);
    if (rc == BP_OK) {
        snprintf(c->last_key, sizeof c->last_key, "%s", key);
        c->last_ms = now;
    }
    return rc;
}

static const struct bp_notify notify = {.size = sizeof notify, .send = notify_send};

/* ---- bp.check/1: what `bpctl doctor` asks ---- */

static int32_t check_run(void *inst, int32_t budget_ms, bp_check_report report, void *arg, struct bp_err *err)
{
    (void)budget_ms, (void)err;
    const struct my_cloud_plugin *c = inst;
    struct bp_check_row row = {.size = sizeof row, .status = BP_CHECK_OK, .name = "file", .service = "notify"};
    snprintf(row.resource, sizeof row.resource, "%.250s", c->path);
    FILE *f = fopen(c->path, "ae");
    if (f) {
        snprintf(row.text, sizeof row.text, "it can be written");
        fclose(f);
    } else {
        row.status = BP_CHECK_FAIL;
        snprintf(row.text, sizeof row.text, "it cannot be written: %s", strerror(errno));
        snprintf(row.remedy, sizeof row.remedy, "give its folder to the user of bpd, or set plugin.my-cloud.path");
    }
    report(arg, &row);
    return BP_OK;
}

static const struct bp_check check = {.size = sizeof check, .run = check_run};

/* ---- life ---- */

static int32_t start(struct bp_self *self, const struct bp_host *host, void **inst, struct bp_err *err)
{
    struct my_cloud_plugin *c = calloc(1, sizeof *c);
    if (!c)
        return bp_error(err, BP_NOMEM, "no memory to start");
    c->self = self;
    c->host = host;
    const char *settings = host->config(self); /* checked against the manifest, defaults filled in */
    c->repeat_ms = bp_json_i(settings, "repeatSeconds", 300) * 1000;
    if (!*bp_json_s(settings, "path", c->path, sizeof c->path))
        snprintf(c->path, sizeof c->path, "%s/messages.txt", host->state_dir(self));
    host->log(self, BP_LOG_INFO, "messages go to %s", c->path);
    *inst = c;
    return BP_OK;
}

static void stop(void *inst)
{
    free(inst);
}

static const void *facet(void *inst, const char *id)
{
    (void)inst;
    if (strcmp(id, BP_NOTIFY_FACET) == 0)
        return &notify;
    return strcmp(id, BP_CHECK_FACET) == 0 ? &check : NULL;
}

BP_PLUGIN("my-cloud", start, stop, facet);
