/* SPDX-License-Identifier: Apache-2.0 */
/* The VFS below the writer of the queue: see gather.h. https://sqlite.org/vfs.html, https://sqlite.org/walformat.html
 */
#include "gather.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 31 pages of 4 KiB with their headers. SQLite's VFS for Unix writes fewer than 128 KiB at once. */
#define ROOM_BYTES (31 * (24 + 4096))

struct gather {
    sqlite3_vfs vfs; /* first: SQLite hands its address back */
    sqlite3_vfs *below;
    char name[32];
};

/* The log as SQLite sees it; the file of the VFS below stands behind it. */
struct log_file {
    sqlite3_file file; /* first: as above */
    sqlite3_file *below;
    unsigned char *room; /* NULL: nothing is gathered */
    sqlite3_int64 at;    /* where in the file what is kept belongs */
    int kept;            /* bytes */
};

static struct log_file *log_of(sqlite3_file *f)
{
    return (struct log_file *)f;
}

/* What cannot be written is forgotten: SQLite gives the transaction up. */
static int flush(struct log_file *l)
{
    int n = l->kept;
    l->kept = 0;
    return n ? l->below->pMethods->xWrite(l->below, l->room, n, l->at) : SQLITE_OK;
}

/* ---- what SQLite does with the log ---- */

static int log_close(sqlite3_file *f)
{
    struct log_file *l = log_of(f);
    int rc = flush(l), closed = l->below->pMethods->xClose(l->below);
    free(l->room);
    l->room = NULL;
    return rc ? rc : closed;
}

static int log_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
    struct log_file *l = log_of(f);
    int rc = flush(l);
    return rc ? rc : l->below->pMethods->xRead(l->below, to, n, at);
}

static int log_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at)
{
    struct log_file *l = log_of(f);
    if (l->kept && (at != l->at + l->kept || n > ROOM_BYTES - l->kept)) {
        int rc = flush(l);
        if (rc)
            return rc;
    }
    if (!l->room || n > ROOM_BYTES)
        return l->below->pMethods->xWrite(l->below, from, n, at);
    if (!l->kept)
        l->at = at;
    memcpy(l->room + l->kept, from, (size_t)n);
    l->kept += n;
    return SQLITE_OK;
}

static int log_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    struct log_file *l = log_of(f);
    int rc = flush(l);
    return rc ? rc : l->below->pMethods->xTruncate(l->below, size);
}

static int log_sync(sqlite3_file *f, int flags)
{
    struct log_file *l = log_of(f);
    int rc = flush(l);
    return rc ? rc : l->below->pMethods->xSync(l->below, flags);
}

static int log_size(sqlite3_file *f, sqlite3_int64 *size)
{
    struct log_file *l = log_of(f);
    int rc = flush(l);
    return rc ? rc : l->below->pMethods->xFileSize(l->below, size);
}

static int log_lock(sqlite3_file *f, int level)
{
    struct log_file *l = log_of(f);
    return l->below->pMethods->xLock(l->below, level);
}

static int log_unlock(sqlite3_file *f, int level)
{
    struct log_file *l = log_of(f);
    return l->below->pMethods->xUnlock(l->below, level);
}

static int log_reserved(sqlite3_file *f, int *is)
{
    struct log_file *l = log_of(f);
    return l->below->pMethods->xCheckReservedLock(l->below, is);
}

static int log_control(sqlite3_file *f, int op, void *arg)
{
    struct log_file *l = log_of(f);
    return l->below->pMethods->xFileControl(l->below, op, arg);
}

static int log_sector(sqlite3_file *f)
{
    struct log_file *l = log_of(f);
    return l->below->pMethods->xSectorSize(l->below);
}

static int log_traits(sqlite3_file *f)
{
    struct log_file *l = log_of(f);
    return l->below->pMethods->xDeviceCharacteristics(l->below);
}

/* Version 1: a log is neither shared memory nor mapped. */
static const sqlite3_io_methods log_methods = {.iVersion = 1,
                                               .xClose = log_close,
                                               .xRead = log_read,
                                               .xWrite = log_write,
                                               .xTruncate = log_truncate,
                                               .xSync = log_sync,
                                               .xFileSize = log_size,
                                               .xLock = log_lock,
                                               .xUnlock = log_unlock,
                                               .xCheckReservedLock = log_reserved,
                                               .xFileControl = log_control,
                                               .xSectorSize = log_sector,
                                               .xDeviceCharacteristics = log_traits};

/* ---- the VFS ---- */

static int gather_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
    sqlite3_vfs *below = ((struct gather *)vfs)->below;
    if (!(flags & SQLITE_OPEN_WAL))
        return below->xOpen(below, name, f, flags, out_flags);
    struct log_file *l = log_of(f);
    *l = (struct log_file){.below = (sqlite3_file *)(l + 1)};
    int rc = below->xOpen(below, name, l->below, flags, out_flags);
    if (l->below->pMethods) /* to be closed, even after an error */
        l->file.pMethods = &log_methods;
    return rc;
}

struct gather *gather_new(const char *below)
{
    sqlite3_vfs *real = sqlite3_vfs_find(below);
    struct gather *g = real ? calloc(1, sizeof *g) : NULL;
    if (!g)
        return NULL;
    /* Several may be there at once, of one library or of two versions of it. */
    snprintf(g->name, sizeof g->name, "gather-%p", (void *)g);
    g->below = real;
    g->vfs = *real;
    g->vfs.pNext = NULL;
    g->vfs.zName = g->name;
    g->vfs.szOsFile = (int)sizeof(struct log_file) + real->szOsFile;
    g->vfs.xOpen = gather_open;
    if (sqlite3_vfs_register(&g->vfs, 0) != SQLITE_OK) {
        free(g);
        return NULL;
    }
    return g;
}

const char *gather_name(const struct gather *g)
{
    return g->name;
}

void gather_free(struct gather *g)
{
    if (!g)
        return;
    sqlite3_vfs_unregister(&g->vfs);
    free(g);
}

int gather_begin(sqlite3 *db)
{
    sqlite3_file *f = NULL;
    int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, (void *)&f);
    if (rc == SQLITE_OK && (!f || f->pMethods != &log_methods))
        rc = SQLITE_MISUSE;
    rc = rc ? rc : sqlite3_exec(db, "PRAGMA cache_spill=OFF", NULL, NULL, NULL);
    if (rc == SQLITE_OK && !log_of(f)->room)
        log_of(f)->room = malloc(ROOM_BYTES);
    return rc ? rc : log_of(f)->room ? SQLITE_OK : SQLITE_NOMEM;
}
