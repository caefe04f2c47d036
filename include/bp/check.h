/* SPDX-License-Identifier: Apache-2.0 */
/* bp/check.h - a facet that any plugin may offer: it tries what it needs from the world, for `bpctl doctor`. */
#ifndef BP_CHECK_H
#define BP_CHECK_H

#include <bp/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_CHECK_FACET "bp.check/1"

#define BP_CHECK_RUNNING 1 /* it is being tried now: the row stands until another of the same name replaces it */
#define BP_CHECK_OK      2
#define BP_CHECK_WARN    3 /* it works, but an operator should know */
#define BP_CHECK_FAIL    4 /* something bpd needs does not work */

/* One thing that was tried. Text is UTF-8, "" where there is none; secrets stand in no member. */
struct bp_check_row {
    uint32_t size;
    int32_t status;       /* BP_CHECK_* */
    char name[48];        /* of the check, unique within the plugin: "bucket" */
    char operation[96];   /* what was called: "s3:HeadBucket" */
    char resource[256];   /* on what: "bucket media" */
    char text[512];       /* what came of it, in words */
    char permission[192]; /* what the caller must be allowed to do, where that is missing: "s3:ListBucket" */
    char remedy[256];     /* what to do about it; "" when there is nothing to do */
    char service[16];     /* what it is needed for, "objects" say; such a row is shown only while this plugin provides
                             that service. "": always */
};

/* Takes one row, borrowed for the call. */
typedef void (*bp_check_report)(void *arg, const struct bp_check_row *row);

struct bp_check {
    uint32_t size;
    uint32_t reserved;
    /* Runs every check, one after another, and reports each as BP_CHECK_RUNNING before what may block and with its
     * outcome after it. Changes nothing that lasts. It should be done within budget_ms (at least 1,000); the host
     * listens no longer and shows what still runs as failed. A check that fails is a row, not an error: the return code
     * is about the run as a whole. Called from one thread at a time. */
    int32_t (*run)(void *inst, int32_t budget_ms, bp_check_report report, void *arg, struct bp_err *err);
};

#ifdef __cplusplus
}
#endif
#endif
