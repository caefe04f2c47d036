/* SPDX-License-Identifier: Apache-2.0 */
#include "log_spool.h"

#include "crc32c.h"
#include "err.h"
#include "log_segment.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIR_MAX     3800
#define PATH_SIZE   4096
#define WINDOW      (2U << 20) /* read at once; holds a record of any size */
#define SEGMENT_MIN (64LL << 10)
#define SEGMENT_MAX (8LL << 20)
#define SEGMENTS    16 /* of the whole spool, about */
_Static_assert(WINDOW > 2 * LOG_SEGMENT_RECORD_MAX, "a window holds a whole record wherever one begins");

struct segment {
    uint64_t number;
    int64_t bytes;
};

/* Where reading goes on. */
struct cursor {
    uint64_t number;
    int64_t offset;
};

struct log_spool {
    char dir[DIR_MAX + 1];
    int64_t max_bytes, segment_bytes;
    pthread_mutex_t mutex;    /* of all that follows but the reader's */
    struct segment *segments; /* in their order; the last one is written to while fd >= 0 */
    uint32_t n, room;
    int64_t total;
    uint64_t next_number;
    int fd, cursor_fd;
    struct cursor cursor;
    struct log_spool_losses lost;

    /* The reader's. */
    int read_fd;
    uint64_t read_number;
    struct cursor read_at; /* of the first record read last */
    char *window;
    int64_t ends[LOG_BATCH_EVENTS]; /* of the records read last: offset behind each */
};

static void name_segment(const struct log_spool *s, uint64_t number, char out[PATH_SIZE])
{
    snprintf(out, PATH_SIZE, "%s/%016llx.log", s->dir, (unsigned long long)number);
}

/* ---- the cursor's file ---- */

static void save_cursor(struct log_spool *s)
{
    uint64_t words[3] = {s->cursor.number, (uint64_t)s->cursor.offset, 0};
    words[2] = crc32c(0, words, 2 * sizeof words[0]);
    if (s->cursor_fd >= 0 && pwrite(s->cursor_fd, words, sizeof words, 0) != sizeof words) {
        close(s->cursor_fd); /* then records are sent twice after a crash, no worse */
        s->cursor_fd = -1;
    }
}

static void load_cursor(struct log_spool *s)
{
    char path[PATH_SIZE];
    uint64_t words[3];
    snprintf(path, sizeof path, "%s/cursor", s->dir);
    s->cursor_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->cursor_fd >= 0 && pread(s->cursor_fd, words, sizeof words, 0) == sizeof words &&
        words[2] == crc32c(0, words, 2 * sizeof words[0]) && words[1] <= INT64_MAX)
        s->cursor = (struct cursor){words[0], (int64_t)words[1]};
}

/* ---- segments ---- */

static int add_segment(struct log_spool *s, uint64_t number, int64_t bytes)
{
    if (s->n == s->room) {
        uint32_t room = s->room ? s->room * 2 : 32;
        struct segment *more = realloc(s->segments, room * sizeof *more);
        if (!more)
            return BP_NOMEM;
        s->segments = more;
        s->room = room;
    }
    s->segments[s->n++] = (struct segment){number, bytes};
    s->total += bytes;
    return 0;
}

static int new_segment(struct log_spool *s, struct bp_err *err)
{
    char path[PATH_SIZE];
    if (s->fd >= 0)
        close(s->fd);
    name_segment(s, s->next_number, path);
    s->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->fd < 0)
        return err_errno(err, "make", path, errno);
    int dir = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int bad = dir < 0 || fsync(dir) < 0 ? errno : 0;
    if (dir >= 0)
        close(dir);
    if (!bad && add_segment(s, s->next_number, 0) == 0) {
        s->next_number++;
        return 0;
    }
    unlink(path);
    close(s->fd);
    s->fd = -1;
    return bad ? err_errno(err, "sync", s->dir, bad) : err_set(err, BP_NOMEM, "no memory for the spool of log lines");
}

/* Whole records of a segment from offset on. */
static uint64_t count_records(const struct log_spool *s, uint64_t number, int64_t offset)
{
    char path[PATH_SIZE];
    struct log_record ignored;
    uint64_t count = 0;
    name_segment(s, number, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char *text = fd >= 0 ? malloc(WINDOW) : NULL;
    ssize_t n;
    while (text && (n = pread(fd, text, WINDOW, offset)) > 0) {
        size_t at = 0, bytes;
        for (; (bytes = log_segment_parse(text + at, (size_t)n - at, &ignored)); at += bytes)
            count++;
        if (at == 0)
            at = log_segment_next(text, (size_t)n);
        offset += (int64_t)at;
    }
    free(text);
    if (fd >= 0)
        close(fd);
    return count;
}

/* The oldest segment goes; what is left of it to read is counted when it is lost. */
static void remove_first(struct log_spool *s, int lost)
{
    char path[PATH_SIZE];
    const struct segment gone = s->segments[0];
    if (lost && s->cursor.number <= gone.number)
        s->lost.dropped += count_records(s, gone.number, s->cursor.number == gone.number ? s->cursor.offset : 0);
    if (s->n == 1 && s->fd >= 0) {
        close(s->fd);
        s->fd = -1;
    }
    name_segment(s, gone.number, path);
    unlink(path);
    memmove(s->segments, s->segments + 1, --s->n * sizeof *s->segments);
    s->total -= gone.bytes;
    if (s->cursor.number <= gone.number) {
        s->cursor = (struct cursor){gone.number + 1, 0};
        save_cursor(s);
    }
}

/* ---- appending ---- */

static char *encode(const struct log_record *r, uint32_t n, size_t *bytes)
{
    size_t at = 0;
    *bytes = 0;
    for (uint32_t i = 0; i < n; i++)
        *bytes += log_segment_bytes(&r[i]);
    char *out = malloc(*bytes + 1);
    for (uint32_t i = 0; out && i < n; i++)
        at += log_segment_encode(&r[i], out + at);
    return out;
}

static int write_all(int fd, const char *text, size_t n)
{
    while (n) {
        ssize_t w = write(fd, text, n);
        if (w < 0 && errno != EINTR)
            return -1;
        text += w > 0 ? w : 0;
        n -= w > 0 ? (size_t)w : 0;
    }
    return fdatasync(fd);
}

static int append(struct log_spool *s, const char *text, size_t n, struct bp_err *err)
{
    while (s->n && s->total + (int64_t)n > s->max_bytes)
        remove_first(s, 1);
    int rc = s->fd >= 0 && s->segments[s->n - 1].bytes < s->segment_bytes ? 0 : new_segment(s, err);
    if (rc < 0)
        return rc;
    struct segment *last = &s->segments[s->n - 1];
    if (write_all(s->fd, text, n) == 0) {
        last->bytes += (int64_t)n;
        s->total += (int64_t)n;
        return 0;
    }
    int why = errno;
    if (ftruncate(s->fd, last->bytes) < 0) { /* its end is unknown: nothing follows there */
        close(s->fd);
        s->fd = -1;
    }
    return err_errno(err, "write", s->dir, why);
}

int log_spool_append(struct log_spool *s, const struct log_record *r, uint32_t n, struct bp_err *err)
{
    size_t bytes;
    char *text = n ? encode(r, n, &bytes) : NULL;
    if (!n)
        return 0;
    if (!text)
        return err_set(err, BP_NOMEM, "no memory to keep %u log lines", n);
    int rc;
    pthread_mutex_lock(&s->mutex);
    if ((int64_t)bytes > s->max_bytes)
        rc = err_set(err, BP_TOOLARGE, "%u log lines of %zu bytes are more than the spool holds (logSpoolBytes)", n,
                     bytes);
    else
        rc = append(s, text, bytes, err);
    pthread_mutex_unlock(&s->mutex);
    free(text);
    return rc;
}

/* ---- reading ---- */

/* Where to read, and up to where there is something. 0: no segment is left. */
static int locate(struct log_spool *s, struct cursor *at, int64_t *limit, int *last)
{
    pthread_mutex_lock(&s->mutex);
    uint32_t i = 0;
    while (i < s->n && s->segments[i].number < s->cursor.number)
        i++;
    int found = i < s->n;
    if (found) {
        const struct segment *g = &s->segments[i];
        if (g->number != s->cursor.number || s->cursor.offset > g->bytes)
            s->cursor = (struct cursor){g->number, 0};
        *limit = g->bytes;
        *last = i == s->n - 1 && s->fd >= 0;
        *at = s->cursor;
    }
    pthread_mutex_unlock(&s->mutex);
    return found;
}

/* Bytes at `at` into the window. */
static size_t load(struct log_spool *s, const struct cursor *at, int64_t limit)
{
    if (s->read_fd < 0 || s->read_number != at->number) {
        char path[PATH_SIZE];
        if (s->read_fd >= 0)
            close(s->read_fd);
        name_segment(s, at->number, path);
        s->read_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        s->read_number = at->number;
    }
    size_t want = limit - at->offset < WINDOW ? (size_t)(limit - at->offset) : WINDOW;
    ssize_t n = s->read_fd >= 0 ? pread(s->read_fd, s->window, want, at->offset) : -1;
    return n > 0 ? (size_t)n : 0;
}

static uint32_t parse(struct log_spool *s, const struct cursor *at, size_t n, struct log_record *out, uint32_t most)
{
    size_t from = 0, bytes;
    uint32_t k = 0;
    while (k < most && k < LOG_BATCH_EVENTS && (bytes = log_segment_parse(s->window + from, n - from, &out[k]))) {
        from += bytes;
        s->ends[k++] = at->offset + (int64_t)from;
    }
    s->read_at = *at;
    return k;
}

/* No record begins at `at`, of which n bytes are in the window and more is on disk up to the limit. */
static void pass_over(struct log_spool *s, const struct cursor *at, size_t n, int64_t limit)
{
    size_t skip = n ? log_segment_next(s->window, n) : 0;
    int64_t to = at->offset + (int64_t)skip;
    if (skip == n) /* one may begin near the end of a full window */
        to = n == WINDOW && to < limit ? to - LOG_SEGMENT_RECORD_MAX : limit;
    pthread_mutex_lock(&s->mutex);
    if (s->cursor.number == at->number && s->cursor.offset == at->offset) {
        s->cursor.offset = to;
        s->lost.damaged++;
    }
    pthread_mutex_unlock(&s->mutex);
}

/* All of it was read. One that is written to goes when it is large enough to be worth another. 1: read on. */
static int finish(struct log_spool *s, uint64_t number, int last)
{
    int more = !last;
    pthread_mutex_lock(&s->mutex);
    while (s->n && s->segments[0].number < number)
        remove_first(s, 0);
    const struct segment *g = s->n ? &s->segments[0] : NULL;
    if (g && g->number == number && s->cursor.number == number && s->cursor.offset >= g->bytes &&
        (!last || g->bytes >= SEGMENT_MIN))
        remove_first(s, 0);
    pthread_mutex_unlock(&s->mutex);
    return more;
}

uint32_t log_spool_read(struct log_spool *s, struct log_record *out, uint32_t most)
{
    struct cursor at;
    int64_t limit;
    int last;
    while (locate(s, &at, &limit, &last)) {
        size_t n = load(s, &at, limit);
        uint32_t k = n ? parse(s, &at, n, out, most) : 0;
        if (k)
            return k;
        if (at.offset < limit)
            pass_over(s, &at, n, limit);
        else if (!finish(s, at.number, last))
            return 0;
    }
    return 0;
}

void log_spool_advance(struct log_spool *s, uint32_t n)
{
    if (!n)
        return;
    pthread_mutex_lock(&s->mutex);
    if (s->cursor.number == s->read_at.number && s->cursor.offset == s->read_at.offset) {
        s->cursor.offset = s->ends[n - 1];
        save_cursor(s);
    } else { /* they gave way while they were read, and were counted: but they are not lost */
        s->lost.dropped -= n < s->lost.dropped ? n : s->lost.dropped;
    }
    pthread_mutex_unlock(&s->mutex);
    s->read_at = (struct cursor){0, -1};
}

/* ---- life ---- */

static int by_number(const void *a, const void *b)
{
    const struct segment *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static int find_segments(struct log_spool *s, struct bp_err *err)
{
    DIR *d = opendir(s->dir);
    int rc = d ? 0 : err_errno(err, "read", s->dir, errno);
    for (struct dirent *e; d && rc == 0 && (e = readdir(d));) {
        char *end;
        struct stat st;
        unsigned long long number = strtoull(e->d_name, &end, 16);
        if (end != e->d_name + 16 || strcmp(end, ".log") != 0)
            continue;
        if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            add_segment(s, number, st.st_size) < 0)
            rc = err_set(err, BP_NOMEM, "no memory for the spool of log lines");
    }
    if (d)
        closedir(d);
    if (s->n)
        qsort(s->segments, s->n, sizeof *s->segments, by_number);
    return rc;
}

static int open_inside(struct log_spool *s, struct bp_err *err)
{
    if (mkdir(s->dir, 0700) < 0 && errno != EEXIST)
        return err_errno(err, "make", s->dir, errno);
    int rc = find_segments(s, err);
    load_cursor(s);
    uint64_t last = s->n ? s->segments[s->n - 1].number : 0;
    s->next_number = (last > s->cursor.number ? last : s->cursor.number) + 1;
    return rc;
}

struct log_spool *log_spool_open(const char *dir, int64_t max_bytes, struct bp_err *err)
{
    struct log_spool *s = strlen(dir) <= DIR_MAX ? calloc(1, sizeof *s) : NULL;
    if (s)
        s->window = malloc(WINDOW);
    if (!s || !s->window) {
        free(s);
        err_set(err, BP_NOMEM, "no memory for the spool of log lines");
        return NULL;
    }
    snprintf(s->dir, sizeof s->dir, "%s", dir);
    s->max_bytes = max_bytes;
    s->segment_bytes = max_bytes / SEGMENTS < SEGMENT_MIN   ? SEGMENT_MIN
                       : max_bytes / SEGMENTS > SEGMENT_MAX ? SEGMENT_MAX
                                                            : max_bytes / SEGMENTS;
    s->fd = s->cursor_fd = s->read_fd = -1;
    s->read_at = (struct cursor){0, -1};
    pthread_mutex_init(&s->mutex, NULL);
    if (open_inside(s, err) == 0)
        return s;
    log_spool_close(s);
    return NULL;
}

void log_spool_close(struct log_spool *s)
{
    if (!s)
        return;
    const int fds[] = {s->fd, s->cursor_fd, s->read_fd};
    for (size_t i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    pthread_mutex_destroy(&s->mutex);
    free(s->segments);
    free(s->window);
    free(s);
}

int64_t log_spool_bytes(struct log_spool *s)
{
    pthread_mutex_lock(&s->mutex);
    int64_t n = s->total;
    pthread_mutex_unlock(&s->mutex);
    return n;
}

void log_spool_losses(struct log_spool *s, struct log_spool_losses *out)
{
    pthread_mutex_lock(&s->mutex);
    *out = s->lost;
    pthread_mutex_unlock(&s->mutex);
}
