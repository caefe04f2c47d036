/* SPDX-License-Identifier: Apache-2.0 */
/* What controllers want remembered of workflows: a text of each kind. */
#include <string.h>

#include "lead.h"
#include "ops.h"
#include "rows.h"

#define KIND_MAX     64
#define WORKFLOW_MAX 255

static bool within(const char *text, size_t least, size_t most)
{
    size_t n = text ? strnlen(text, most + 1) : 0;
    return text && n >= least && n <= most;
}

static bool row_fits(const struct bp_memo_row *r)
{
    return within(r->kind, 1, KIND_MAX) && within(r->workflow, 0, WORKFLOW_MAX) &&
           (!r->text || within(r->text, 0, BP_MEMO_MAX));
}

int32_t op_memo_put(struct store *s, struct bp_op *op)
{
    const struct bp_op_memo_put *p = &op->u.memo_put;
    if (p->n < 1 || p->n > BP_MEMOS_MAX)
        return op_error(op, BP_INVALID, "%u memos at once: 1 to %d can be put", p->n, BP_MEMOS_MAX);
    for (uint32_t i = 0; i < p->n; i++)
        if (!row_fits(&p->rows[i]))
            return op_error(op, BP_INVALID,
                            "a memo has a kind of 1 to %d bytes, a workflow and at most %d bytes of text", KIND_MAX,
                            BP_MEMO_MAX);
    int32_t rc = lead_check(s, op, p->epoch);
    for (uint32_t i = 0; !rc && !op->err.rc && i < p->n; i++) {
        const struct bp_memo_row *r = &p->rows[i];
        rc = r->text ? statement_run(s, ST_MEMO_PUT, "ssls", r->kind, r->workflow, op->now_ms, r->text)
                     : statement_run(s, ST_MEMO_DELETE, "ss", r->kind, r->workflow);
    }
    return rc;
}

static int32_t numbers(struct store *s, sqlite3_stmt *q, void *row)
{
    (void)s;
    struct bp_memo_row *r = row;
    *r = (struct bp_memo_row){.size = sizeof *r, .updated_ms = sqlite3_column_int64(q, 0)};
    return BP_OK;
}

int32_t op_memo_list(struct store *s, struct bp_op *op)
{
    static const size_t texts[] = {
        offsetof(struct bp_memo_row, kind),
        offsetof(struct bp_memo_row, workflow),
        offsetof(struct bp_memo_row, text),
    };
    static const struct rows_kind kind = {sizeof(struct bp_memo_row), texts, 3, 1, numbers};
    struct bp_op_memo_list *l = &op->u.memo_list;
    void *rows;
    l->count = 0;
    l->rows = NULL;
    l->memory = NULL;
    if (!within(l->kind, 1, KIND_MAX))
        return op_error(op, BP_INVALID, "memos are listed by a kind of 1 to %d bytes", KIND_MAX);
    int32_t rc = rows_read(s, statement_query(s, ST_MEMO_LIST, "ss", l->kind, l->workflow), &kind, &rows, &l->count);
    l->rows = l->memory = rows;
    return rc;
}
