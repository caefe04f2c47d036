/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing the file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gather.h"
#include "schema.h"
#include "store.h"
#include "tenant.h"

#define BUSY_MS          2000
#define CHECKPOINT_PAGES 4000
#define WAL_KEEP_BYTES   67108864

static void tables_init(struct store *s)
{
    s->tenants = (struct names){.find = ST_TENANT_FIND, .text = ST_TENANT_TEXT, .insert = ST_TENANT_INSERT};
    s->effects = (struct names){.find = ST_EFFECT_FIND, .text = ST_EFFECT_TEXT, .insert = ST_EFFECT_INSERT};
    s->workers = (struct names){.find = ST_WORKER_FIND, .text = ST_WORKER_TEXT, .insert = ST_WORKER_INSERT};
    s->workflow_names =
        (struct names){.find = ST_WORKFLOW_FIND, .text = ST_WORKFLOW_TEXT, .insert = ST_WORKFLOW_INSERT};
}

/* The file is ours alone: it holds what tenants sent. WAL and shared memory files take over its mode. */
static int32_t file_create(struct store *s)
{
    int fd = open(s->settings.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return store_fail(s, errno == ENOSPC ? BP_NOSPACE : BP_IO, "cannot open the queue %.150s: %s", s->settings.path,
                          strerror(errno));
    close(fd);
    return BP_OK;
}

static int32_t pragma(struct store *s, const char *sql)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? BP_OK : store_fail_sql(s, "set up the file");
}

static int32_t pragmas(struct store *s)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "PRAGMA secure_delete=OFF; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-%lld;"
             "PRAGMA wal_autocheckpoint=%d; PRAGMA journal_size_limit=%d; PRAGMA synchronous=%s;",
             (long long)(s->settings.cache_bytes / 1024), CHECKPOINT_PAGES, WAL_KEEP_BYTES, s->settings.synchronous);
    return pragma(s, sql);
}

static int wal_answer(void *arg, int columns, char **values, char **names)
{
    (void)names;
    if (columns > 0 && values[0])
        *(bool *)arg = strcmp(values[0], "wal") == 0;
    return 0;
}

static int32_t wal_mode(struct store *s)
{
    bool wal = false;
    if (sqlite3_exec(s->db, "PRAGMA journal_mode=WAL", wal_answer, &wal, NULL) != SQLITE_OK)
        return store_fail_sql(s, "turn the write-ahead log on");
    if (!wal)
        return store_fail(s, BP_IO, "the file system of %.150s cannot hold a write-ahead log; use a local disk",
                          s->settings.path);
    return BP_OK;
}

static int32_t size_limit(struct store *s)
{
    if (s->settings.max_bytes <= 0)
        return BP_OK;
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA max_page_count=%lld", (long long)(s->settings.max_bytes / 4096));
    return pragma(s, sql);
}

/* After the migrations, whose transactions may be larger than what memory should hold. */
static int32_t gather_writes(struct store *s)
{
    int code = strcmp(s->settings.synchronous, "full") == 0 ? gather_begin(s->db) : SQLITE_OK;
    if (code == SQLITE_OK)
        return BP_OK;
    return store_fail(s, code == SQLITE_NOMEM ? BP_NOMEM : BP_IO, "cannot prepare the write-ahead log of %.150s: %s",
                      s->settings.path, sqlite3_errstr(code)); /* not always an error of the connection */
}

static int32_t open_file(struct store *s)
{
    int32_t rc = file_create(s);
    if (rc)
        return rc;
    /* SQLite counts every piece of memory under a lock, and nobody asks. In vain when the library is in use already. */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    s->gather = gather_new(NULL);
    if (!s->gather)
        return store_fail(s, BP_NOMEM, "out of memory opening the queue");
    if (sqlite3_open_v2(s->settings.path, &s->db, flags, gather_name(s->gather)) != SQLITE_OK)
        return s->db ? store_fail_sql(s, "open the file") : store_fail(s, BP_NOMEM, "out of memory opening the queue");
    sqlite3_busy_timeout(s->db, BUSY_MS);
    sqlite3_extended_result_codes(s->db, 0);
    rc = pragmas(s);
    rc = rc ? rc : schema_check_owner(s);
    rc = rc ? rc : wal_mode(s);
    rc = rc ? rc : schema_migrate(s);
    rc = rc ? rc : size_limit(s);
    return rc ? rc : gather_writes(s);
}

int32_t store_open(struct store *s, struct bp_err *err)
{
    s->reopen = s->fresh = false;
    tables_init(s);
    int32_t rc = open_file(s);
    if (rc) {
        *err = s->failure;
        store_close(s);
    }
    return rc;
}

void store_close(struct store *s)
{
    statements_free(s);
    sqlite3_close_v2(s->db);
    s->db = NULL;
    gather_free(s->gather);
    s->gather = NULL;
    names_clear(&s->tenants);
    names_clear(&s->effects);
    names_clear(&s->workers);
    names_clear(&s->workflow_names);
    tenants_forget(s);
    free(s->workflow);
    free(s->changed);
    s->workflow = NULL;
    s->changed = NULL;
    s->n_workflows = s->cap_workflows = s->n_changed = 0;
    s->fresh = false;
    mem_free(&s->mem);
}
