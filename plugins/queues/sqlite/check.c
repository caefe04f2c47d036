/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <stdio.h>
#include <sys/statvfs.h>

#include "schema.h"
#include "store.h"

#define FREE_WARN (1LL << 30)
#define FREE_FAIL (64LL << 20)

static struct bp_check_row row_of(const struct store *s, const char *name)
{
    struct bp_check_row r = {.size = sizeof r, .status = BP_CHECK_OK};
    snprintf(r.name, sizeof r.name, "%s", name);
    snprintf(r.resource, sizeof r.resource, "%s", s->settings.path);
    snprintf(r.service, sizeof r.service, "queue");
    return r;
}

/* Takes the right to write and gives it back. */
static struct bp_check_row check_write(struct store *s)
{
    struct bp_check_row r = row_of(s, "file");
    int rc = s->db ? sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) : SQLITE_CANTOPEN;
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    if (rc == SQLITE_OK) {
        snprintf(r.text, sizeof r.text, "it can be written");
        return r;
    }
    r.status = BP_CHECK_FAIL;
    snprintf(r.text, sizeof r.text, "it cannot be written: %s", s->db ? sqlite3_errmsg(s->db) : "it is not open");
    snprintf(r.remedy, sizeof r.remedy,
             "does another program hold it, does it belong to the user of bpd, is there room?");
    return r;
}

static struct bp_check_row check_schema(struct store *s)
{
    struct bp_check_row r = row_of(s, "schema");
    int version = 0;
    if (schema_version(s, &version) == BP_OK) {
        snprintf(r.text, sizeof r.text, "version %d", version);
        return r;
    }
    r.status = BP_CHECK_FAIL;
    snprintf(r.text, sizeof r.text, "%s", s->failure.text);
    snprintf(r.remedy, sizeof r.remedy, "bpctl migrate --dry-run says more");
    return r;
}

static struct bp_check_row check_disk(const struct store *s)
{
    struct statvfs fs;
    struct bp_check_row r = row_of(s, "disk");
    long long left = statvfs(s->settings.path, &fs) < 0 ? -1 : (long long)fs.f_bavail * (long long)fs.f_frsize;
    r.status = left < FREE_FAIL ? BP_CHECK_FAIL : left < FREE_WARN ? BP_CHECK_WARN : BP_CHECK_OK;
    snprintf(r.text, sizeof r.text, "%lld MiB free on its file system", left >> 20);
    if (r.status != BP_CHECK_OK)
        snprintf(r.remedy, sizeof r.remedy, "free room there: without it submits are refused");
    return r;
}

static int32_t run(void *inst, int32_t budget_ms, bp_check_report report, void *arg, struct bp_err *err)
{
    struct store *s = inst;
    (void)budget_ms, (void)err; /* nothing here waits */
    const struct bp_check_row rows[] = {check_write(s), check_schema(s), check_disk(s)};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        report(arg, &rows[i]);
    return BP_OK;
}

const struct bp_check store_check = {.size = sizeof(struct bp_check), .run = run};
