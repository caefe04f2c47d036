/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_s3.h - the client's S3 calls, answered by a store in memory that fails as it is told: what the steps of a put
 * and a get do about it is the object store's own.
 */
#ifndef FAKE_S3_H
#define FAKE_S3_H

#include "client.h"

/* The first fault whose operation is called, `skip` calls later, applies `times` times. */
struct fake_fault {
    enum aws_op op;
    int skip, times;
    int rc, status; /* what the call returns; status 0: no answer */
    const char *code;
    int takes_effect;     /* 1: the store does it, and only the answer is lost */
    const char *body_200; /* the call works, but this is its body */
    int64_t deliver;      /* of a GET: so many bytes arrive before the connection breaks */
};

void fake_s3_reset(void);
void fake_s3_fail(struct fake_fault f);
int fake_s3_calls(enum aws_op op);
/* The headers of the last call of an operation, each followed by '\n'. */
const char *fake_s3_headers(enum aws_op op);
/* The object's bytes, or NULL. Borrowed. */
const char *fake_s3_object(const char *key, size_t *n);
void fake_s3_put(const char *key, const void *bytes, size_t n);
int fake_s3_uploads(void); /* unfinished ones */
/* S3 forgets every upload / gets other bytes for part `number` of the only one. */
void fake_s3_drop_uploads(void);
void fake_s3_replace_part(int number);
extern void (*fake_s3_on_part)(void); /* called when a part arrives, or NULL */
extern int fake_s3_ignores_range, fake_s3_damages, fake_s3_page, fake_s3_shuffles;

#endif
