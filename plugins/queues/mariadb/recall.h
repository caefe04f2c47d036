/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recall.h - rows as this controller left or saw them last: queued and leased jobs, and its workers with their leases.
 *
 * What is here is true as long as no other controller wrote anything and nothing of ours was undone. That is checked by
 * the transaction that builds on it (blind.h), so what is missing or old costs time and never a job. Kept by id in one
 * place each: what comes later to an occupied place takes it.
 */
#ifndef MARIADB_RECALL_H
#define MARIADB_RECALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct job;
struct worker_state;
struct recalled_job;
struct recalled_worker;

#define RECALL_JOBS    4096
#define RECALL_WORKERS 1024
/* A job with longer texts is not kept. */
#define RECALL_JOB_BYTES 4096

struct recall {
    struct recalled_job **jobs;      /* RECALL_JOBS, NULL: none yet */
    struct recalled_worker *workers; /* RECALL_WORKERS, likewise */
    bool any;
    int64_t next_id; /* what the next new job's will be, 0: not known */
};

/* Takes what a segment left in the map; before that is emptied. */
void recall_note(struct store *s);
/* A copy in s->mem. NULL: not known, or no memory. */
struct job *recall_job(struct store *s, int64_t id);
/* false: not known. */
bool recall_worker(const struct store *s, int64_t no, struct worker_state *out);
/* A worker that the batch did not read has so many live leases more. */
void recall_moved(struct store *s, int64_t no, int64_t leases);
/* A worker changes otherwise. */
void recall_forget_worker(struct store *s, int64_t no);
/* Forgets all: others wrote, or something of ours was undone or is not told by the map. */
void recall_clear(struct store *s);
void recall_free(struct store *s);

#endif
