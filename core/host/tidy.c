/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tidy.c - removes the private copies of files whose generations or candidates are gone, so that a file that is
 * replaced all day does not fill the disk. Not while a file is vetted: that may just have found such a copy, and use it
 * again.
 */
#include "host/candidate.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void tidy_later(struct host *h, const char *copy)
{
    h->old_copies = realloc(h->old_copies, (h->n_old_copies + 1) * sizeof(*h->old_copies));
    assert(h->old_copies);
    h->old_copies[h->n_old_copies] = strdup(copy);
    assert(h->old_copies[h->n_old_copies]);
    h->n_old_copies++;
}

static int is_used(const struct host *h, const char *copy)
{
    for (const struct generation *g = h->generations; g; g = g->next) {
        if (strcmp(g->copy, copy) == 0)
            return 1;
    }
    return candidates_use(h, copy);
}

void tidy(struct host *h)
{
    if (h->n_trying > 0)
        return;
    for (const struct source *s = h->sources; s; s = s->next) {
        if (s->busy)
            return;
    }
    for (uint32_t i = 0; i < h->n_old_copies; i++) {
        if (!h->stopping && !is_used(h, h->old_copies[i])) /* the next start finds them, and sweeps what is old */
            unlink(h->old_copies[i]);
        free(h->old_copies[i]);
    }
    free(h->old_copies);
    h->old_copies = NULL;
    h->n_old_copies = 0;
}
