/* SPDX-License-Identifier: Apache-2.0 */
/* The places of a queue stay in order whatever is put in and taken out, and need no more room than twice what they
 * hold. */
#include "places.h"

#include <stdlib.h>
#include <string.h>

#include "cm.h"

#define MOST 300

/* The same in the plainest way. */
struct plain {
    struct place at[MOST];
    uint32_t n;
};

static int by_order(const void *a, const void *b)
{
    return place_order(a, b);
}

static void plain_add(struct plain *p, const struct place *x)
{
    p->at[p->n++] = *x;
    qsort(p->at, p->n, sizeof p->at[0], by_order);
}

static void plain_remove(struct plain *p, uint32_t i)
{
    memmove(&p->at[i], &p->at[i + 1], (--p->n - i) * sizeof p->at[0]);
}

static void same(const struct places *p, const struct plain *q)
{
    assert_int_equal(p->n, q->n);
    for (uint32_t i = 0; i < p->n; i++)
        assert_int_equal(p->at[i].id, q->at[i].id);
}

static uint32_t dice(uint32_t *seed, uint32_t sides)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % sides;
}

static struct place any_place(uint32_t *seed, int64_t id)
{
    return (struct place){(int32_t)dice(seed, 3), -(int32_t)dice(seed, 2), dice(seed, 2) / 2.0, id};
}

static void stays_in_order(void **state)
{
    (void)state;
    struct places p = {0};
    struct plain q = {0};
    uint32_t seed = 7;
    for (int64_t id = 1; id <= 20000; id++) {
        bool grows = id / 1000 % 2 == 0;
        if (q.n < MOST && (!q.n || dice(&seed, 10) < (grows ? 6 : 4))) {
            struct place x = any_place(&seed, id);
            assert_true(places_add(&p, &x));
            plain_add(&q, &x);
        } else {
            uint32_t i = dice(&seed, q.n);
            assert_int_equal(places_find(&p, &q.at[i]), i);
            places_remove(&p, i);
            plain_remove(&q, i);
        }
        same(&p, &q);
    }
    places_free(&p);
}

static void a_queue_moves_on_in_the_room_it_has(void **state)
{
    (void)state;
    struct places p = {0};
    for (int64_t id = 1; id <= 100000; id++) {
        const struct place x = {.id = id};
        assert_true(places_add(&p, &x));
        if (p.n > 100)
            places_remove(&p, 0);
        assert_int_equal(p.at[p.n - 1].id, id);
        assert_int_equal(p.at[0].id, id < 100 ? 1 : id - 99);
    }
    assert_true(p.cap <= 256);
    places_free(&p);
    assert_int_equal(p.n, 0);
}

static void what_is_not_there_is_found_where_it_would_be(void **state)
{
    (void)state;
    struct places p = {0};
    const struct place low = {.priority = 2, .id = 5}, high = {.priority = 1, .id = 3},
                       between = {.priority = 1, .id = 2}, last = {.priority = 1, .id = 9};
    assert_int_equal(places_find(&p, &low), 0);
    assert_true(places_add(&p, &high));
    assert_true(places_add(&p, &low));
    assert_int_equal(places_find(&p, &low), 0);
    assert_int_equal(places_find(&p, &between), 1);
    assert_int_equal(places_find(&p, &high), 1);
    assert_int_equal(places_find(&p, &last), 2);
    places_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stays_in_order),
        cmocka_unit_test(a_queue_moves_on_in_the_room_it_has),
        cmocka_unit_test(what_is_not_there_is_found_where_it_would_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
