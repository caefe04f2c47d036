/* SPDX-License-Identifier: Apache-2.0 */
/* reload.h - settings read again while running: the new ones are built and checked wholly, then swapped in, or nothing
 * changes. */
#ifndef CORE_RELOAD_H
#define CORE_RELOAD_H

#include "app.h"
#include "http/http.h"
#include "options.h"

struct reload {
    struct app *app;
    const struct options *options;
    struct config **config; /* replaced on success; the former one is freed */
    struct http *http;
};
/* *changed: how many keys have other values. On error nothing changed. [loop] */
int reload_config(struct reload *r, uint32_t *changed, struct bp_err *err);

#endif
