/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asset.h - the files a workflow needs beside its plugin (a model's weights, say), as its manifest lists them: each by
 * the SHA-256 of its content, kept in the objects service, fetched by workers before they take a job (worker/assets.h).
 *
 * JSON: [{"name": "model.safetensors", "object": "assets/...", "sha256": "64 hex digits", "bytes": 123}], and where a
 * server of the machine looks for it, "place": "checkpoints/model.safetensors". Pure; any thread.
 */
#ifndef PLUGINFILE_ASSET_H
#define PLUGINFILE_ASSET_H

#include <bp/plugin.h>

#define ASSETS_MAX       32
#define ASSET_PREFIX     "assets/"       /* of every object: nothing else can be asked for by a manifest */
#define ASSET_BYTES_MAX  1099511627776LL /* of one */
#define ASSET_NAME_BYTES 129             /* with the NUL */

struct json_object;

/* Texts are borrowed from the JSON. */
struct asset {
    const char *name;   /* of the file a job finds: letters, digits and . _ -, not first '.' */
    const char *object; /* key */
    const char *sha256; /* lower-case hex */
    int64_t bytes;      /* >= 1 */
    const char *place;  /* where a link to it goes, relative to worker.modelsDir; NULL: nowhere */
};

/* Is it a list of assets? BP_INVALID with the entry, the member and the remedy. */
int assets_check(struct json_object *list, struct bp_err *err);
/* How many a workflow's manifest lists; 0 without a list. */
uint32_t assets_count(struct json_object *manifest);
/* One of them; i < assets_count(). The manifest was checked. */
struct asset asset_at(struct json_object *manifest, uint32_t i);

#endif
