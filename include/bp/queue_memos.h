/* SPDX-License-Identifier: Apache-2.0 */
/* bp/queue_memos.h - what controllers want remembered beside jobs: rows and operations of facet "bp.queue/1". */
#ifndef BP_QUEUE_MEMOS_H
#define BP_QUEUE_MEMOS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_MEMO_MAX  65536 /* bytes of one text */
#define BP_MEMOS_MAX 64    /* rows of one put */

/* What controllers keep of a workflow beside its jobs, so that it survives them: a text of theirs, at most one of each
 * kind. */
struct bp_memo_row {
    uint32_t size;
    uint32_t reserved;
    int64_t updated_ms;   /* filled on return only */
    const char *kind;     /* 1..64 bytes, by whose rules the text is written */
    const char *workflow; /* 0..255 bytes; "": of no single workflow */
    const char *text;     /* 0..BP_MEMO_MAX bytes; NULL: there shall be none. Not NULL on return */
};

/* BP_OP_MEMO_PUT: each row takes the place of the one of its kind and workflow, all or none. BP_INVALID: something out
 * of range; BP_STALE as in sweep. */
struct bp_op_memo_put {
    const struct bp_memo_row *rows;
    uint32_t n; /* 1..BP_MEMOS_MAX */
    uint32_t reserved;
    int64_t epoch; /* of BP_OP_LEAD; 0: not asked */
};

/* BP_OP_MEMO_LIST: of one kind, by workflow, as bytes compare. */
struct bp_op_memo_list {
    const char *kind;
    const char *workflow; /* only its own; NULL: all */
    /* out */
    uint32_t count;
    struct bp_memo_row *rows;
    void *memory; /* free with bp_host.free */
};

#ifdef __cplusplus
}
#endif
#endif
