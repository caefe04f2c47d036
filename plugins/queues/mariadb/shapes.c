/* SPDX-License-Identifier: Apache-2.0 */
#include "shapes.h"

#include <stdlib.h>
#include <string.h>

#include "store.h"

#define SHAPES_MAX 1024 /* places, in sets; a shape may be in any place of its set */
#define SET        8
#define USES_MIN   2
#define VALUES_MAX 300       /* of a text: with more, handing values over costs what reading the statements did */
#define LONG_BYTES 8192      /* such a text is kept only while all are less than */
#define BYTES_MAX  (4 << 20) /* that much */
#define WHOLE_MAX  4000      /* the same in the binary protocol, where they cost less */
#define WHOLES_MAX 100000    /* values of all of these together: the server keeps some 2 KB for each, 200 MB in all */

/* Eight bytes at a time: a shape has ten thousand. */
static uint64_t hash_of(const struct sql *q)
{
    uint64_t h = q->n, word;
    size_t i = 0;
    for (; i + sizeof word <= q->n; i += sizeof word) {
        memcpy(&word, q->text + i, sizeof word);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    for (; i < q->n; i++)
        h = (h ^ (unsigned char)q->text[i]) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

/* The first value at or behind `from`. */
static size_t value_from(const struct sql *q, size_t from)
{
    size_t low = 0, high = q->n_values;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (q->values[mid].at < from)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The shape as a compound statement. */
static void shape_text(const struct sql *q, size_t from, size_t to, struct sql *out)
{
    size_t at = from;
    sql_clear(out);
    sql_add(out, "BEGIN NOT ATOMIC ");
    for (size_t i = value_from(q, from); i < q->n_values && q->values[i].at < to; i++) {
        sql_bytes(out, q->text + at, q->values[i].at - at);
        sql_bytes(out, "?", 1);
        at = q->values[i].at + q->values[i].n;
    }
    sql_bytes(out, q->text + at, to - at);
    sql_add(out, q->text[to - 1] == ';' ? "END" : ";END");
}

/* The place of a shape, or of the one in its set that came least often. */
static struct shape *find(const struct shapes *x, const struct sql *text)
{
    struct shape *set = &x->slots[hash_of(text) % (SHAPES_MAX / SET) * SET], *least = set;
    for (struct shape *p = set; p < set + SET; p++) {
        if (p->text && p->n == text->n && memcmp(p->text, text->text, text->n) == 0)
            return p;
        if (least->text && (!p->text || p->uses < least->uses))
            least = p;
    }
    return least;
}

static void drop(struct shapes *x, struct shape *p)
{
    if (p->stmt) {
        mysql_stmt_close(p->stmt);
        x->values -= p->values;
    }
    if (p->text)
        x->bytes -= p->n;
    free(p->text);
    *p = (struct shape){0};
}

/* The slot of a shape; one that came less often than others gives way. NULL: the slot is another's. */
static struct shape *slot_of(struct shapes *x, const struct sql *text)
{
    if (!x->slots && !(x->slots = calloc(SHAPES_MAX, sizeof *x->slots)))
        return NULL;
    struct shape *p = find(x, text);
    if (p->text && p->n == text->n && memcmp(p->text, text->text, text->n) == 0)
        return p;
    if (p->text && p->uses > 0 && --p->uses > 0)
        return NULL;
    if (text->n > LONG_BYTES && x->bytes + text->n > BYTES_MAX)
        return NULL;
    drop(x, p);
    if (x->due == p)
        x->due = NULL;
    *p = (struct shape){.text = malloc(text->n + 1), .n = text->n};
    if (!p->text)
        return NULL;
    memcpy(p->text, text->text, text->n + 1);
    x->bytes += text->n;
    return p;
}

/* The text with the name of the shape and its values in the place of [from, to). */
static void execute_text(const struct sql *q, size_t from, size_t to, int number, struct sql *out)
{
    sql_clear(out);
    sql_bytes(out, q->text, from);
    sql_add(out, "EXECUTE bp%i USING ", number);
    size_t first = value_from(q, from);
    for (size_t i = first; i < q->n_values && q->values[i].at < to; i++) {
        sql_bytes(out, ",", i > first);
        sql_bytes(out, q->text + q->values[i].at, q->values[i].n);
    }
    if (to < q->n) {
        sql_bytes(out, ";", 1);
        sql_bytes(out, q->text + to, q->n - to);
    }
}

/* The shape of [from, to), counted. NULL: it has no place, or there is nothing to gain. */
static struct shape *shape_of(struct store *s, size_t from, size_t to, size_t values)
{
    struct shapes *x = &s->shapes;
    if (x->off || s->q.failed || values == 0)
        return NULL;
    shape_text(&s->q, from, to, &x->text);
    struct shape *p = x->text.failed ? NULL : slot_of(x, &x->text);
    if (p && p->uses < UINT32_MAX)
        p->uses++;
    if (p && !p->prepared && p->uses >= USES_MIN && !x->due)
        x->due = p;
    return p;
}

int32_t shapes_send(struct store *s, size_t from, size_t to)
{
    struct shapes *x = &s->shapes;
    const struct sql *q = &s->q;
    size_t values = value_from(q, to) - value_from(q, from);
    const struct shape *p = values > VALUES_MAX ? NULL : shape_of(s, from, to, values);
    if (!p || !p->prepared || p->whole)
        return query_send(s, q);
    execute_text(q, from, to, (int)(p - x->slots), &x->send);
    return query_send(s, &x->send);
}

int32_t shapes_send_whole(struct store *s, size_t from)
{
    struct shapes *x = &s->shapes;
    const struct sql *q = &s->q;
    size_t first = value_from(q, from), values = q->n_values - first;
    struct shape *p = values > WHOLE_MAX ? NULL : shape_of(s, from, q->n, values);
    if (p && !p->prepared) {
        p->whole = true;
        p->values = values;
    }
    if (!p || !p->stmt)
        return query_send(s, q);
    sql_clear(&x->send);
    sql_bytes(&x->send, q->text, from);
    int32_t rc = from ? query_run(s, &x->send) : BP_OK;
    return rc ? rc : binary_execute(s, p->stmt, q, first, values);
}

static int32_t prepare_text(struct store *s, struct shape *p)
{
    struct shapes *x = &s->shapes;
    sql_clear(&x->send);
    sql_add(&x->send, "PREPARE bp%i FROM %s", (int)(p - x->slots), p->text);
    return query_run(s, &x->send);
}

static int32_t prepare_whole(struct store *s, struct shape *p)
{
    struct shapes *x = &s->shapes;
    if (x->values + p->values > WHOLES_MAX)
        return BP_OK;
    sql_clear(&x->send);
    sql_bytes(&x->send, p->text, p->n);
    p->stmt = binary_prepare(s, &x->send);
    if (!p->stmt)
        return s->failure.rc;
    x->values += p->values;
    return BP_OK;
}

void shapes_prepare(struct store *s)
{
    struct shapes *x = &s->shapes;
    struct shape *p = x->due;
    x->due = NULL;
    if (!p || !s->db)
        return;
    struct bp_err before = s->failure;
    int32_t rc = p->whole ? prepare_whole(s, p) : prepare_text(s, p);
    if (rc && s->fault == FAULT_LOST)
        conn_close(s);
    else if (rc)
        s->host->log(s->self, BP_LOG_INFO, "statements are sent as plain text, which costs more: %s", s->failure.text);
    x->off = rc != BP_OK && s->db;
    p->prepared = rc == BP_OK;
    s->failure = before;
}

void shapes_forget(struct store *s)
{
    struct shapes *x = &s->shapes;
    for (size_t i = 0; x->slots && i < SHAPES_MAX; i++) {
        struct shape *p = &x->slots[i];
        if (p->stmt)
            mysql_stmt_close(p->stmt);
        p->stmt = NULL;
        p->prepared = false;
    }
    x->due = NULL;
    x->values = 0;
    x->off = false;
}

void shapes_free(struct store *s)
{
    struct shapes *x = &s->shapes;
    shapes_forget(s);
    for (size_t i = 0; x->slots && i < SHAPES_MAX; i++)
        free(x->slots[i].text);
    free(x->slots);
    sql_free(&x->text);
    sql_free(&x->send);
    *x = (struct shapes){0};
}
