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
/* A URL for `method` on key, to become member `name` of `into`. key and mime are copied, a reference of into is taken.
 */
struct url_want {
    const char *method;     /* "GET" or "PUT" */
    const char *key, *mime; /* mime: pinned for PUT, or NULL */
    int64_t max_bytes;      /* of a PUT, 0: the provider's limit */
    struct json_object *into;
    const char *name; /* a literal */
};
void url_set_add(struct url_set *s, const struct url_want *want);
/* The URL added last also becomes member `name` of `into`. */
void url_set_also(struct url_set *s, struct json_object *into, const char *name);
/* A job as job_json() made it: its output gets a member "url" to fetch it by, null when there is nothing to fetch. */
void url_set_add_output(struct url_set *s, struct json_object *job);
uint32_t url_set_count(const struct url_set *s);
/* How long a URL says it lives, seconds (as S3's do: the provider may have cut what was asked for); 0: it does not say.
 */
int64_t url_life_s(const char *url);
/* Signs and consumes the set. */
void url_set_sign(struct url_set *s, url_set_done done, void *arg);

#endif
