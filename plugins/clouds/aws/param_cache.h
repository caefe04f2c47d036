/* SPDX-License-Identifier: Apache-2.0 */
/* param_cache.h - parameters read lately. Values are wiped when they go, and their memory is left out of core dumps.
 * Any thread. */
#ifndef AWS_PARAM_CACHE_H
#define AWS_PARAM_CACHE_H

#include <stdint.h>

struct param_cache;

/* Of at most `most` parameters: the one not asked for the longest gives way. NULL without memory. */
struct param_cache *param_cache_new(uint32_t most);
void param_cache_free(struct param_cache *c);
/* A copy of the value in *value (param_cache_drop_copy() it) and its age, or -1 when there is none; *value is NULL then
 * or without memory. Monotonic ms. */
int64_t param_cache_get(struct param_cache *c, const char *name, int64_t now_ms, char **value);
/* Without memory it is not kept. */
void param_cache_put(struct param_cache *c, const char *name, const char *value, int64_t now_ms);
void param_cache_remove(struct param_cache *c, const char *name);
/* Wipes and frees a copy; NULL is fine. */
void param_cache_drop_copy(char *value);

#endif
