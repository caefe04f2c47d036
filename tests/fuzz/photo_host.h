/* SPDX-License-Identifier: Apache-2.0 */
/* photo_host.h - a double of the plugin host for fuzz targets of dispatch: it has one workflow, "photo". */
#ifndef FUZZ_PHOTO_HOST_H
#define FUZZ_PHOTO_HOST_H

#include "host/host.h"

extern struct workflow photo;
/* Reads its manifest; once, before it is asked for. */
void photo_host_load(void);

#endif
