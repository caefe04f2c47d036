/* SPDX-License-Identifier: Apache-2.0 */
/* What controllers want remembered of workflows: a text of each kind. Rows of one put are one statement. */
#include <string.h>

#include "lead.h"
#include "ops.h"
#include "text.h"

#define KIND_MAX     64
#define WORKFLOW_MAX 255

static bool row_fits(const struct bp_memo_row *r)
{
    return r->kind && *r->kind && text_fits(r->kind, KIND_MAX) && r->workflow && text_fits(r->workflow, WORKFLOW_MAX) &&
           text_fits(r->text, BP_MEMO_MAX);
}

/* Those with a text, or those without. */
static void put_text(struct store *s, const struct bp_op *op)
{
    const struct bp_op_memo_put *p = &op->u.memo_put;
    size_t before = s->q.n;
    for (uint32_t i = 0; i < p->n; i++) {
        const struct bp_memo_row *r = &p->rows[i];
        if (!r->text)
            continue;
        sql_add(&s->q, s->q.n == before ? "INSERT INTO memos (kind, workflow, updated_ms, text) VALUES " : ",");
        sql_add(&s->q, "(%s,%s,%l,%s)", r->kind, r->workflow, op->now_ms, r->text);
    }
    if (s->q.n > before)
        sql_add(&s->q, " ON DUPLICATE KEY UPDATE updated_ms=VALUES(updated_ms), text=VALUES(text);");
    before = s->q.n;
    for (uint32_t i = 0; i < p->n; i++) {
        if (p->rows[i].text)
            continue;
        sql_add(&s->q, s->q.n == before ? "DELETE FROM memos WHERE (kind, workflow) IN (" : ",");
        sql_add(&s->q, "(%s,%s)", p->rows[i].kind, p->rows[i].workflow);
    }
    if (s->q.n > before)
        sql_add(&s->q, ")");
}

int32_t op_memo_put(struct store *s, struct bp_op *op)
{
    const struct bp_op_memo_put *p = &op->u.memo_put;
    size_t bytes = 0;
    bool ok;
    if (p->n < 1 || p->n > BP_MEMOS_MAX)
        return op_error(op, BP_INVALID, "%u memos at once: 1 to %d can be put", p->n, BP_MEMOS_MAX);
    for (uint32_t i = 0; i < p->n; i++) {
        if (!row_fits(&p->rows[i]))
            return op_error(op, BP_INVALID,
                            "a memo has a kind of 1 to %d bytes, a workflow and at most %d bytes of text", KIND_MAX,
                            BP_MEMO_MAX);
        bytes += p->rows[i].text ? strlen(p->rows[i].text) : 0;
    }
    if (2 * bytes > s->text_max / 2)
        return op_error(op, BP_TOOLARGE, "%zu bytes of memos at once: raise max_allowed_packet at %.100s", bytes,
                        s->settings.where);
    int32_t rc = lead_check(s, op, p->epoch, &ok);
    if (rc || !ok)
        return rc;
    sql_clear(&s->q);
    put_text(s, op);
    return query_run(s, &s->q);
}

static char *take(const char **to, const char *from, char *text)
{
    size_t n = strlen(from) + 1;
    *to = memcpy(text, from, n);
    return text + n;
}

static int32_t rows_take(struct store *s, struct bp_op_memo_list *l, struct reply *r)
{
    size_t rows = (size_t)mysql_num_rows(r->result), bytes = rows * sizeof *l->rows;
    while (reply_next(r))
        bytes += strlen(r->row[1]) + strlen(r->row[2]) + strlen(r->row[3]) + 3;
    l->rows = l->memory = rows ? s->host->alloc(bytes) : NULL;
    if (rows && !l->rows)
        return store_nomem(s);
    char *text = (char *)(l->rows + rows);
    mysql_data_seek(r->result, 0);
    while (l->count < rows && reply_next(r)) {
        struct bp_memo_row *m = &l->rows[l->count++];
        *m = (struct bp_memo_row){.size = sizeof *m, .updated_ms = column_int(r, 0)};
        text = take(&m->kind, r->row[1], text);
        text = take(&m->workflow, r->row[2], text);
        text = take(&m->text, r->row[3], text);
    }
    return BP_OK;
}

int32_t op_memo_list(struct store *s, struct bp_op *op)
{
    struct bp_op_memo_list *l = &op->u.memo_list;
    struct reply r;
    l->count = 0;
    l->rows = NULL;
    l->memory = NULL;
    if (!l->kind || !*l->kind || !text_fits(l->kind, KIND_MAX) || !text_fits(l->workflow, WORKFLOW_MAX))
        return op_error(op, BP_INVALID, "memos are listed by a kind of 1 to %d bytes", KIND_MAX);
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT updated_ms, kind, workflow, text FROM memos WHERE kind=%s", l->kind);
    if (l->workflow)
        sql_add(&s->q, " AND workflow=%s", l->workflow);
    sql_add(&s->q, " ORDER BY workflow");
    int32_t rc = query_one(s, &s->q, &r);
    rc = rc ? rc : rows_take(s, l, &r);
    reply_done(&r);
    return rc;
}
