/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assets.h - the files that workflows need beside their plugins: fetched before a job of them is asked for, proven, and
 * laid out for runners. All [loop].
 *
 * For each workflow of this machine that lists assets (pluginfile/asset.h) there is a bundle. Until it is ready the
 * workflow is among the exceptions of a poll, and of no other workflow's concern. One bundle is worked on at a time,
 * beside polls and jobs; one that cannot be had is tried again later, and the controller is told why.
 */
#ifndef WORKER_ASSETS_H
#define WORKER_ASSETS_H

#include "host/host.h"

struct assets;
struct worker;
struct json_object;

/* state_dir: where the cache is, unless worker.assetCacheDir names another place. NULL with err. */
struct assets *assets_new(struct worker *w, const char *state_dir, struct bp_err *err);
void assets_free(struct assets *as);
/* Looks at the workflows there are, and adds to `slugs` those whose assets are not ready (any more). Before each poll;
 * begins what is to be done for them. */
void assets_except(struct assets *as, struct json_object *slugs);
/* Are all assets of this workflow ready now? 1 also when it lists none. */
int assets_are_ready(struct assets *as, const struct workflow *flow);
/* Directory with links to them by name; "" when it lists none, or they are not ready. Borrowed until the next poll. */
const char *assets_dir(const struct assets *as, const char *slug);
/* Adds to out what a runner must read to follow those links, at most max paths. How many; borrowed as above. */
uint32_t assets_reads(const struct assets *as, const char *slug, const char **out, uint32_t max);
/* {"slug": "why its assets cannot be had"} for the controller, NULL: nothing is wrong. The caller's. */
struct json_object *assets_json(const struct assets *as);
/* Rises whenever assets_json() would give something else. */
int assets_version(const struct assets *as);

#endif
