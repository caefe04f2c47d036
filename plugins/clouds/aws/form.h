/* SPDX-License-Identifier: Apache-2.0 */
/* form.h - the body of a query or ec2 request, built in order. Not shared between threads. */
#ifndef AWS_FORM_H
#define AWS_FORM_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define FORM_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define FORM_PRINTF(f, a)
#endif

struct form;

/* An empty one, NULL without memory; every put after a failed one is ignored and form_failed() says so (the client
 * checks it). */
struct form *form_new(void);
void form_free(struct form *f);
void form_wipe(struct form *f); /* zeroes what it holds, before it is freed: a value was a secret */
/* name=value, percent-encoded; value NULL: left out. The name is formatted: form_put(f, v, "Tags.member.%d.Key", i). */
void form_put(struct form *f, const char *value, const char *name, ...) FORM_PRINTF(3, 4);
void form_put_int(struct form *f, int64_t value, const char *name, ...) FORM_PRINTF(3, 4);
void form_put_num(struct form *f, double value, const char *name, ...) FORM_PRINTF(3, 4);
void form_put_bool(struct form *f, int value, const char *name, ...) FORM_PRINTF(3, 4);
/* A time as ISO-8601 UTC. */
void form_put_time(struct form *f, int64_t ms, const char *name, ...) FORM_PRINTF(3, 4);
int form_failed(const struct form *f);
/* "A=1&B=2" without Action and Version, NUL-terminated; borrowed until the next put. */
const char *form_text(const struct form *f, size_t *n);

#endif
