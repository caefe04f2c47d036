/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asset_place.h - links to assets in the folder of models of a server on this machine, ComfyUI's say, which knows
 * nothing of our cache: "checkpoints/sd15.safetensors" there leads to the content here. Each is made by a rename, so
 * that a reader sees the old file or the new one. Only links into our cache are ever replaced or removed.
 */
#ifndef ASSETS_ASSET_PLACE_H
#define ASSETS_ASSET_PLACE_H

#include <bp/plugin.h>

/*
 * The link models_dir/place leads to the absolute path `content`, a file below cache_dir; folders are made (0755), and
 * links beside it into the cache whose content is gone are removed. BP_INVALID: something else is there, and it stays;
 * BP_IO. In both cases with path and remedy. Any thread.
 */
int asset_place_make(const char *models_dir, const char *place, const char *content, const char *cache_dir,
                     struct bp_err *err);

#endif
