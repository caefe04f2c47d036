/* SPDX-License-Identifier: Apache-2.0 */
/* facet.h - the table of facets: which kind offers them, which service they become, how large their tables are in 1.0.
 */
#ifndef PLUGINFILE_FACET_H
#define PLUGINFILE_FACET_H

#include "pluginfile/manifest.h"

/* As a facet's kind: queue and cloud plugins offer it. */
#define KIND_ACTOR ((enum plugin_kind)0)

struct facet {
    const char *id;
    const char *service; /* NULL: not routed on the bus */
    enum plugin_kind kind;
    uint32_t size;     /* of the table in 1.0 */
    uint32_t optional; /* bit i: function i (after size and reserved) may be NULL */
    int on_worker;     /* routed in a worker too */
};
#define FACETS 12
extern const struct facet facets[FACETS];

/* A facet a running plugin offers. */
struct offer {
    const struct facet *facet;
    const void *table;
};

/* Index in facets, or -1. */
int facet_find(const char *id);
int facet_is_for(const struct facet *f, enum plugin_kind kind);
/* Is this a table that may be called? BP_INVALID with a sentence otherwise. */
int facet_check(const struct facet *f, const void *table, struct bp_err *err);
/* Does the manifest list what its kind needs? Facets unknown here are left to newer versions. */
int facet_check_manifest(const struct manifest *m, struct bp_err *err);

#endif
