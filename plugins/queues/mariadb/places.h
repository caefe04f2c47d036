/* SPDX-License-Identifier: Apache-2.0 */
/*
 * places.h - places in the order of leases, as a sorted array that grows.
 *
 * A queue is taken from at its begin and added to at its end: both cost nothing that depends on how long it is.
 */
#ifndef MARIADB_PLACES_H
#define MARIADB_PLACES_H

#include <stdbool.h>
#include <stdint.h>

/* A place in the order of leases. */
struct place {
    int32_t priority, sort_key;
    double share_tag;
    int64_t id;
};

struct places {
    struct place *at; /* n of them */
    uint32_t n;
    struct place *room; /* cap of them, of which `at` is a part */
    uint32_t cap;
};

/* Negative when x comes before y. */
int place_order(const struct place *x, const struct place *y);
/* The first that does not come before x; p->n: none. */
uint32_t places_find(const struct places *p, const struct place *x);
/* Puts x where places_find says; false: no memory. */
bool places_add(struct places *p, const struct place *x);
void places_remove(struct places *p, uint32_t i);
void places_free(struct places *p);

#endif
