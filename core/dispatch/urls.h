/* SPDX-License-Identifier: Apache-2.0 */
/*
 * urls.h - signed URLs from the objects service: all that an answer needs, in one request, put straight into the
 * answer's JSON. All [loop].
 */
#ifndef DISPATCH_URLS_H
#define DISPATCH_URLS_H

#include "dispatch/engine.h"

struct url_set;
/* rc BP_OK: every URL stands in its JSON object. Otherwise none does; err says why. Called exactly once, never before
 * url_set_sign() returned, also when the engine is dead by then (an ask answers nobody then). */
typedef void (*url_set_done)(const struct bp_err *err, void *arg);

struct url_set *url_set_new(struct dispatch *d);
void url_set_free(struct url_set *s);
/* A URL for `method` on key, to become member `name` (a literal) of `into`, whose reference is taken. mime may be NULL;
 * max_bytes 0: the provider's limit. key and mime are copied. */
void url_set_add(struct url_set *s, const char *method, const char *key, const char *mime, struct json_object *into,
                 const char *name);
void url_set_limit(struct url_set *s, int64_t max_bytes); /* of the URL added last */
/* The URL added last also becomes member `name` of `into`. */
void url_set_also(struct url_set *s, struct json_object *into, const char *name);
uint32_t url_set_count(const struct url_set *s);
/* Signs and consumes the set. */
void url_set_sign(struct url_set *s, url_set_done done, void *arg);

#endif
