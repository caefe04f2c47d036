/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - facet bp.check/1: room for objects, and what the plugin keeps can be written. */
#include "local.h"

#include <bp/check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void check_dir(const char *name, const char *service, const char *dir, int64_t least, bp_check_report report,
                      void *arg)
{
    struct bp_check_row r = {.size = sizeof r, .status = BP_CHECK_OK};
    int64_t left = file_free_bytes(dir);
    snprintf(r.name, sizeof r.name, "%s", name);
    snprintf(r.service, sizeof r.service, "%s", service);
    snprintf(r.resource, sizeof r.resource, "%.250s", dir);
    if (left < 0 || access(dir, W_OK) < 0) {
        r.status = BP_CHECK_FAIL;
        snprintf(r.text, sizeof r.text, "it cannot be written: %s", strerror(errno));
        snprintf(r.remedy, sizeof r.remedy, "give it to the user of bpd, or name another directory");
    } else if (left < least) {
        r.status = BP_CHECK_FAIL;
        snprintf(r.text, sizeof r.text, "%lld MiB free on its file system, less than minFreeBytes",
                 (long long)left >> 20);
        snprintf(r.remedy, sizeof r.remedy, "free room there: without it uploads are refused");
    } else {
        snprintf(r.text, sizeof r.text, "%lld MiB free on its file system", (long long)left >> 20);
    }
    report(arg, &r);
}

static int32_t run(void *inst, int32_t budget_ms, bp_check_report report, void *arg, struct bp_err *err)
{
    const struct local *l = inst;
    (void)budget_ms, (void)err; /* nothing here waits for a network */
    check_dir("directory", "", l->dir, 0, report, arg);
    check_dir("objects", "objects", objects_dir(l->objects), l->settings.min_free_bytes, report, arg);
    return BP_OK;
}

const struct bp_check check_facet = {.size = sizeof(struct bp_check), .run = run};
