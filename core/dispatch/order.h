/* SPDX-License-Identifier: Apache-2.0 */
/*
 * order.h - what a tenant asks for, read and checked: the step between a request body and a job. Everything wrong with
 * it is found at once and named by field.
 */
#ifndef DISPATCH_ORDER_H
#define DISPATCH_ORDER_H

#include "dispatch/engine.h"
#include "dispatch/input.h"
#include "dispatch/text.h"

struct order {
    char workflow[128]; /* slug */
    char effect[128];   /* slug or "" */
    struct json_object *params, *inputs;
    const char *idempotency_key, *unique_key; /* borrowed from the input, or NULL */
    int64_t after[BP_AFTER_MAX];
    uint32_t n_after;
    char request_hash[DIGEST_SIZE];
    int single; /* its input came as "input", not as a list */
    int32_t priority, max_attempts;
    int64_t not_before_ms;
    struct input in;
    int rc;            /* BP_OK, or why not */
    char message[320]; /* for BP_NOTFOUND and BP_CONFLICT; BP_INVALID is in in.fields */
};

/* Reads body for tenant. Returns o->rc. Always followed by order_close(). */
int order_read(struct order *o, struct dispatch *d, const char *tenant, struct json_object *body);
void order_close(struct order *o);

/* Is key a well-formed object key below "tenants/<tenant>/"? */
int key_is_tenants(const char *key, const char *tenant);
/* Is `name` a segment of an object key: 1..255 bytes, no '/', no control character, not "." or ".."? */
int key_segment_ok(const char *name, size_t n);
/* The digest of a request body without its idempotency_key, whatever the order of its members. */
void order_digest(struct json_object *body, char out[DIGEST_SIZE]);

#endif
