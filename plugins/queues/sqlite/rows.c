/* SPDX-License-Identifier: Apache-2.0 */
#include "rows.h"

#include <stdalign.h>
#include <string.h>

/* A row in scratch memory; the next one behind it. */
struct found {
    struct found *next;
    alignas(max_align_t) char row[];
};

static int32_t no_memory(struct store *s)
{
    store_fail(s, BP_NOMEM, "out of memory while reading rows");
    return BP_NOMEM;
}

static int32_t read_texts(struct store *s, sqlite3_stmt *q, const struct rows_kind *kind, char *row, size_t *bytes)
{
    for (int i = 0; i < kind->n_texts; i++) {
        const unsigned char *t = sqlite3_column_text(q, kind->first_text + i);
        if (!t)
            continue;
        size_t n = (size_t)sqlite3_column_bytes(q, kind->first_text + i);
        const char *copy = mem_text(&s->mem, t, n);
        if (!copy)
            return no_memory(s);
        memcpy(row + kind->texts[i], &copy, sizeof copy);
        *bytes += n + 1;
    }
    return BP_OK;
}

static char *copy_row(const struct rows_kind *kind, char *to, const char *from, char *text)
{
    memcpy(to, from, kind->bytes);
    for (int i = 0; i < kind->n_texts; i++) {
        const char *t;
        memcpy(&t, from + kind->texts[i], sizeof t);
        if (!t)
            continue;
        size_t n = strlen(t) + 1;
        memcpy(text, t, n);
        memcpy(to + kind->texts[i], &text, sizeof text);
        text += n;
    }
    return text;
}

/* The list in one block. */
static int32_t pack(struct store *s, const struct rows_kind *kind, const struct found *first, uint32_t n, size_t bytes,
                    char **out)
{
    char *rows = s->host->alloc(bytes);
    if (!rows)
        return store_fail(s, BP_NOMEM, "out of memory for %u rows", n);
    char *text = rows + n * kind->bytes, *to = rows;
    for (const struct found *f = first; f; f = f->next, to += kind->bytes)
        text = copy_row(kind, to, f->row, text);
    *out = rows;
    return BP_OK;
}

int32_t rows_read(struct store *s, sqlite3_stmt *q, const struct rows_kind *kind, void **out, uint32_t *count)
{
    struct found *first = NULL, **last = &first;
    size_t bytes = 0;
    uint32_t n = 0;
    int32_t rc;
    *out = NULL;
    *count = 0;
    while ((rc = statement_next(s, q)) > 0) {
        struct found *f = mem_alloc(&s->mem, sizeof *f + kind->bytes);
        rc = f ? kind->numbers(s, q, f->row) : no_memory(s);
        rc = rc ? rc : read_texts(s, q, kind, f->row, &bytes);
        if (rc)
            break;
        bytes += kind->bytes;
        *last = f;
        last = &f->next;
        n++;
    }
    statement_done(q);
    char *rows = NULL;
    if (!rc && n)
        rc = pack(s, kind, first, n, bytes, &rows);
    *out = rows;
    *count = rc ? 0 : n;
    return rc;
}
