/* SPDX-License-Identifier: Apache-2.0 */
/* photo_host.h - a double of the plugin host for fuzz targets of dispatch: it has one workflow, "photo". */
#ifndef FUZZ_PHOTO_HOST_H
#define FUZZ_PHOTO_HOST_H

#include "dispatch/dispatch.h"

extern struct workflow photo;
/* An engine over it, with an effect "pull" whose move is locked; once. */
struct dispatch *photo_engine(struct bus *bus);

#endif
