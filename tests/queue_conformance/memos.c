/* SPDX-License-Identifier: Apache-2.0 */
/* What controllers remember: one text of each kind and workflow, durable, all rows of a put or none. */
#include "case.h"

static int32_t memos_put(const struct bp_memo_row *rows, uint32_t n, int64_t epoch)
{
    struct bp_op *op = op_new(BP_OP_MEMO_PUT);
    op->u.memo_put.rows = rows;
    op->u.memo_put.n = n;
    op->u.memo_put.epoch = epoch;
    return apply_one(op);
}

static int32_t memo(const char *kind, const char *workflow, const char *text)
{
    struct bp_memo_row row = {.size = sizeof row, .kind = kind, .workflow = workflow, .text = text};
    return memos_put(&row, 1, 0);
}

static const struct bp_op_memo_list *memos(const char *kind, const char *workflow)
{
    struct bp_op *op = op_new(BP_OP_MEMO_LIST);
    op->u.memo_list.kind = kind;
    op->u.memo_list.workflow = workflow;
    CHECK_INT(apply_one(op), BP_OK);
    return &op->u.memo_list;
}

CASE(memos, memos_are_of_a_kind_and_a_workflow_and_the_last_one_counts)
{
    CHECK_INT(memos("view", NULL)->count, 0);
    CHECK_INT(memo("view", "b", "of b"), BP_OK);
    CHECK_INT(memo("view", "a", "first"), BP_OK);
    CHECK_INT(memo("view", "", "of none"), BP_OK);
    CHECK_INT(memo("rules", "a", "another kind"), BP_OK);
    advance(5000);
    CHECK_INT(memo("view", "a", "it's \"ü\" \\ 100 %"), BP_OK);
    const struct bp_op_memo_list *l = memos("view", NULL);
    CHECK_INT(l->count, 3);
    CHECK_STR(l->rows[0].workflow, "");
    CHECK_STR(l->rows[1].workflow, "a");
    CHECK_STR(l->rows[1].kind, "view");
    CHECK_STR(l->rows[1].text, "it's \"ü\" \\ 100 %");
    CHECK_INT(l->rows[1].updated_ms, world.now);
    CHECK_STR(l->rows[2].text, "of b");
    CHECK_INT(l->rows[2].updated_ms, world.now - 5000);
    l = memos("view", "b");
    CHECK_INT(l->count, 1);
    CHECK_STR(l->rows[0].text, "of b");
    CHECK_INT(memos("view", "c")->count, 0);
    CHECK_INT(memos("vie", NULL)->count, 0);
}

CASE(memos, memos_survive_a_restart_and_go_when_there_shall_be_none)
{
    static char large[BP_MEMO_MAX + 1];
    memset(large, 'x', BP_MEMO_MAX);
    CHECK_INT(memo("view", "a", large), BP_OK);
    CHECK_INT(memo("view", "b", ""), BP_OK);
    world_restart();
    const struct bp_op_memo_list *l = memos("view", NULL);
    CHECK_INT(l->count, 2);
    CHECK_STR(l->rows[0].text, large);
    CHECK_STR(l->rows[1].text, "");
    const struct bp_memo_row rows[] = {{.size = sizeof rows[0], .kind = "view", .workflow = "a"},
                                       {.size = sizeof rows[0], .kind = "view", .workflow = "c", .text = "new"},
                                       {.size = sizeof rows[0], .kind = "view", .workflow = "never there"}};
    CHECK_INT(memos_put(rows, 3, 0), BP_OK);
    l = memos("view", NULL);
    CHECK_INT(l->count, 2);
    CHECK_STR(l->rows[0].workflow, "b");
    CHECK_STR(l->rows[1].text, "new");
}

CASE(memos, memos_out_of_range_are_refused_and_none_of_the_put_is_kept)
{
    static char large[BP_MEMO_MAX + 2], name[300];
    memset(large, 'x', BP_MEMO_MAX + 1);
    memset(name, 'n', sizeof name - 1);
    const struct bp_memo_row rows[] = {{.size = sizeof rows[0], .kind = "view", .workflow = "a", .text = "good"},
                                       {.size = sizeof rows[0], .kind = "view", .workflow = "b", .text = large}};
    CHECK_INT(memos_put(rows, 2, 0), BP_INVALID);
    CHECK_INT(memos_put(rows, 0, 0), BP_INVALID);
    CHECK_INT(memo("", "a", "x"), BP_INVALID);
    CHECK_INT(memo(NULL, "a", "x"), BP_INVALID);
    CHECK_INT(memo(name, "a", "x"), BP_INVALID);
    CHECK_INT(memo("view", NULL, "x"), BP_INVALID);
    CHECK_INT(memo("view", name, "x"), BP_INVALID);
    CHECK_INT(memos("view", NULL)->count, 0);
    struct bp_op *op = op_new(BP_OP_MEMO_LIST);
    CHECK_INT(apply_one(op), BP_INVALID);
}

CASE(memos, memos_of_a_leader_that_was_replaced_are_stale)
{
    struct bp_op *lead = op_new(BP_OP_LEAD);
    lead->u.lead.id = "one";
    lead->u.lead.ttl_ms = 6000;
    CHECK_INT(apply_one(lead), BP_OK);
    const struct bp_memo_row row = {.size = sizeof row, .kind = "view", .workflow = "a", .text = "mine"};
    CHECK_INT(memos_put(&row, 1, lead->u.lead.epoch), BP_OK);
    CHECK_INT(memos_put(&row, 1, lead->u.lead.epoch + 1), BP_STALE);
    CHECK_INT(memos("view", NULL)->count, 1);
}
