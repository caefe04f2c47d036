/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asset_cache.h - a directory of files named by their SHA-256, shared by the workers of a machine.
 *
 *   <sha>        the content, read only          <sha>.ok   "bytes mtime inode" of it, when its content was proven;
 *   <sha>.part   one that is being fetched, or was;         its own mtime says when it was last asked for
 *                whoever fetches it next goes on with it
 *   lock         flock()ed by whoever fetches or removes: one process of the machine at a time
 *
 * A file in use is held: its holder has it open under a shared flock(). What nobody holds may be removed to make room,
 * the longest unused first. A process that dies lets go of all its locks. Files are small in number; nothing here reads
 * a content but the steps of an asset_proof. One thread an object.
 */
#ifndef ASSETS_ASSET_CACHE_H
#define ASSETS_ASSET_CACHE_H

#include "pluginfile/asset.h"

#define ASSET_PATH_BYTES   4300
#define ASSET_RECORD_BYTES 96
#define ASSET_PART_AGE_S   86400 /* a part to which nothing was added for so long is given up */

struct asset_cache;

/* Makes the directory (mode 0700). NULL with err. */
struct asset_cache *asset_cache_open(const char *dir, struct bp_err *err);
/* Unlocks. What is held stays held. */
void asset_cache_close(struct asset_cache *c);
/* <dir>/<sha256><ending> to out. */
const char *asset_cache_path(const struct asset_cache *c, const char *sha256, const char *ending,
                             char out[ASSET_PATH_BYTES]);

/* ---- held files ---- */

/*
 * Opens and holds the content of an asset. *fd: close() lets go; -1: nothing is held.
 * BP_OK: proven before, and unchanged since. BP_LATER: held, but it must be proven first (asset_proof); or, with fd -1,
 * another process removes it just now. BP_NOTFOUND: it is not there, or of another size. BP_IO.
 */
int asset_cache_hold(struct asset_cache *c, const struct asset *a, int *fd, struct bp_err *err);
/* Is what fd holds still the file that was proven? Cheap: asked before each lease. */
int asset_cache_is_sound(struct asset_cache *c, const struct asset *a, int fd);

/* ---- with the lock ---- */

/* BP_LATER: another process has it. It may be taken twice. */
int asset_cache_lock(struct asset_cache *c, struct bp_err *err);
void asset_cache_unlock(struct asset_cache *c);
/* Makes room for an asset under `limit` for all contents and parts, removing what broken fetches of others left, then
 * the longest unused contents; parts older than ASSET_PART_AGE_S in any case. BP_NOSPACE with numbers and the remedy;
 * nothing else was removed then. */
int asset_cache_room(struct asset_cache *c, const struct asset *a, int64_t limit, struct bp_err *err);
/* Says of <sha>.part as it is now what tells whether it changed; "" when it is not there. */
void asset_cache_part_text(const struct asset_cache *c, const char *sha256, char out[ASSET_RECORD_BYTES]);
/* Opens <sha>.part for reading, which another process or an earlier run left. -1: there is none worth going on with;
 * one that is too large, too old (ASSET_PART_AGE_S) or no file is removed. */
int asset_cache_part_open(const struct asset_cache *c, const struct asset *a);
/* <sha>.part, which has the right content, becomes the asset's file: durable, read only, proven. */
int asset_cache_publish(struct asset_cache *c, const struct asset *a, struct bp_err *err);
/* Removes content and record: it is not what its name says. */
void asset_cache_remove(struct asset_cache *c, const char *sha256);

/* ---- proving a content ---- */

struct asset_proof;

/* Of bytes as they come (fd -1), or of the file that fd holds (borrowed), to be read by steps. NULL: no memory. */
struct asset_proof *asset_proof_new(int fd);
void asset_proof_add(struct asset_proof *p, const void *bytes, size_t n);
/* How many were added. */
int64_t asset_proof_bytes(const struct asset_proof *p);
/* As new: nothing was added yet. */
void asset_proof_restart(struct asset_proof *p);
/* Reads and adds the next piece: 1 when there was one, 0 at the end, BP_IO. */
int asset_proof_step(struct asset_proof *p, struct bp_err *err);
/* Was it exactly this asset? BP_INVALID with what differs. */
int asset_proof_end(struct asset_proof *p, const struct asset *a, struct bp_err *err);
void asset_proof_free(struct asset_proof *p);
/* A file that asset_proof found to be right: the record says so from now on. Its holder calls it. */
int asset_cache_record(struct asset_cache *c, const struct asset *a, int fd, struct bp_err *err);

#endif
