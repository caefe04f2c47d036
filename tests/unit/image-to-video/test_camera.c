/* SPDX-License-Identifier: Apache-2.0 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "camera.h"

#include <math.h>

#define STEPS 24

static struct request base_request(int32_t move)
{
    return (struct request){.duration_s = 1,
                            .strength = 0.5,
                            .fps = 25,
                            .width = 640,
                            .height = 360,
                            .move = move,
                            .easing = EASING_IN_OUT,
                            .frames = 25};
}

/* Where output position (x, y) looks at depth d, both kinds of view. */
static void look_bent(const struct camera *c, double t, double x, double y, double d, double at[2])
{
    struct bent_view v;
    camera_bent(c, t, &v);
    double w = v.h[6] * x + v.h[7] * y + 1;
    double u = (v.h[0] * x + v.h[1] * y + v.h[2]) / w, s = (v.h[3] * x + v.h[4] * y + v.h[5]) / w;
    at[0] = u + d * (v.px + v.pz * u);
    at[1] = s + d * (v.py + v.pz * s);
}

static void look_straight(const struct camera *c, double t, double x, double y, double at[2])
{
    struct straight_view v;
    camera_straight(c, t, &v);
    at[0] = v.x0 + x * v.scale;
    at[1] = v.y0 + y * v.scale;
}

static void assert_inside(const struct camera *c, const double at[2])
{
    assert_true(at[0] > -0.6 && at[0] < c->width - 0.4);
    assert_true(at[1] > -0.6 && at[1] < c->height - 0.4);
}

static void check_inside(const struct request *r, double width, double height)
{
    struct camera c;
    camera_init(&c, r, width, height);
    for (int i = 0; i <= STEPS; i++)
        for (int corner = 0; corner < 4; corner++) {
            double t = (double)i / STEPS, at[2];
            double x = corner & 1 ? r->width - 0.5 : -0.5, y = corner & 2 ? r->height - 0.5 : -0.5;
            for (int d = -1; d <= 1; d++) {
                look_bent(&c, t, x, y, d * 0.5, at);
                assert_inside(&c, at);
            }
            look_straight(&c, t, x, y, at);
            if (r->move != MOVE_ORBIT)
                assert_inside(&c, at);
        }
}

static void the_camera_never_looks_past_the_photo(void **state)
{
    (void)state;
    static const double sizes[][2] = {{4000, 3000}, {3000, 4000}, {640, 360}, {8000, 900}, {500, 5000}};
    for (int32_t move = MOVE_PUSH; move <= MOVE_ORBIT; move++)
        for (int k = 0; k < 5 * 3 * 3 * 4; k++) {
            struct request r = base_request(move);
            r.strength = (k / 5 % 3) / 2.0;
            r.parallax = (k / 15 % 3) / 2.0;
            r.seed = k / 45 * 12345;
            check_inside(&r, sizes[k % 5][0], sizes[k % 5][1]);
        }
}

static void straight_and_bent_views_agree_without_depth(void **state)
{
    (void)state;
    for (int32_t move = MOVE_PUSH; move < MOVE_ORBIT; move++) {
        struct request r = base_request(move);
        struct camera c;
        r.seed = 7;
        camera_init(&c, &r, 1600, 1200);
        for (int i = 0; i <= STEPS; i++) {
            double a[2], b[2];
            look_straight(&c, (double)i / STEPS, 600, 33, a);
            look_bent(&c, (double)i / STEPS, 600, 33, 0, b);
            assert_true(fabs(a[0] - b[0]) < 0.01 && fabs(a[1] - b[1]) < 0.01);
        }
    }
}

/* Middle of the view at the start and the end. */
static void ends(int32_t move, double from[2], double to[2], double *zoom)
{
    struct request r = base_request(move);
    struct camera c;
    struct straight_view a, b;
    camera_init(&c, &r, 1600, 1200);
    look_straight(&c, 0, 319.5, 179.5, from);
    look_straight(&c, 1, 319.5, 179.5, to);
    camera_straight(&c, 0, &a);
    camera_straight(&c, 1, &b);
    *zoom = a.scale / b.scale;
}

static void each_move_goes_where_its_name_says(void **state)
{
    (void)state;
    static const struct {
        int32_t move;
        int dx, dy, zoom;
    } moves[] = {{MOVE_PUSH, 0, 0, 1},      {MOVE_PULL, 0, 0, -1},   {MOVE_PAN_LEFT, -1, 0, 0},
                 {MOVE_PAN_RIGHT, 1, 0, 0}, {MOVE_PAN_UP, 0, -1, 0}, {MOVE_PAN_DOWN, 0, 1, 0}};
    for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++) {
        double from[2], to[2], zoom;
        ends(moves[i].move, from, to, &zoom);
        double dx = to[0] - from[0], dy = to[1] - from[1];
        assert_true(moves[i].dx ? dx * moves[i].dx > 20 : fabs(dx) < 0.01);
        assert_true(moves[i].dy ? dy * moves[i].dy > 20 : fabs(dy) < 0.01);
        assert_true(moves[i].zoom > 0 ? zoom > 1.2 : moves[i].zoom < 0 ? zoom < 0.85 : fabs(zoom - 1) < 1e-6);
    }
}

static void an_orbit_shows_the_sides_in_turn_larger(void **state)
{
    (void)state;
    struct request r = base_request(MOVE_ORBIT);
    struct camera c;
    double height[2][2];
    camera_init(&c, &r, 1600, 1200);
    for (int t = 0; t <= 1; t++)
        for (int side = 0; side < 2; side++) {
            double top[2], bottom[2];
            look_bent(&c, t, side * 639, 0, 0, top);
            look_bent(&c, t, side * 639, 359, 0, bottom);
            height[t][side] = bottom[1] - top[1]; /* more photo in the same pixels: further away */
        }
    assert_true((height[0][0] - height[0][1]) * (height[1][0] - height[1][1]) < 0);
    assert_true(fabs(height[0][0] - height[1][1]) < 0.1);
}

static void strength_0_stands_still(void **state)
{
    (void)state;
    for (int32_t move = MOVE_PUSH; move <= MOVE_ORBIT; move++) {
        struct request r = base_request(move);
        struct camera c;
        r.strength = 0;
        camera_init(&c, &r, 1600, 1200);
        assert_true(camera_motion(&c, 0, 1) < 0.01);
    }
}

static void near_moves_more_than_far(void **state)
{
    (void)state;
    for (int32_t move = MOVE_PUSH; move < MOVE_ORBIT; move++) {
        struct request r = base_request(move);
        struct camera c;
        r.parallax = 1;
        camera_init(&c, &r, 1600, 1200);
        double n0[2], n1[2], f0[2], f1[2];
        look_bent(&c, 0, 500, 300, 0.5, n0);
        look_bent(&c, 1, 500, 300, 0.5, n1);
        look_bent(&c, 0, 500, 300, -0.5, f0);
        look_bent(&c, 1, 500, 300, -0.5, f1);
        assert_true(hypot(n1[0] - n0[0], n1[1] - n0[1]) > hypot(f1[0] - f0[0], f1[1] - f0[1]) + 1);
    }
}

static void an_orbit_turns_near_against_far(void **state)
{
    (void)state;
    struct request r = base_request(MOVE_ORBIT);
    struct camera c;
    double n[2][2], f[2][2];
    r.parallax = 1;
    camera_init(&c, &r, 1600, 1200);
    for (int t = 0; t <= 1; t++) { /* the middle of the picture, which the orbit is about */
        look_bent(&c, t, 319.5, 179.5, 0.5, n[t]);
        look_bent(&c, t, 319.5, 179.5, -0.5, f[t]);
    }
    assert_true(n[1][0] - n[0][0] > 10 && f[1][0] - f[0][0] < -10);
}

static void the_same_seed_aims_the_same_and_others_elsewhere(void **state)
{
    (void)state;
    struct request r = base_request(MOVE_PUSH);
    struct camera a, b;
    double previous = 0;
    for (int64_t seed = 0; seed <= 4294967295; seed += 1 + seed * 15) {
        r.seed = seed;
        camera_init(&a, &r, 1600, 1200);
        camera_init(&b, &r, 1600, 1200);
        assert_true(a.aim_x == b.aim_x && a.aim_y == b.aim_y);
        assert_true(seed == 0 ? a.aim_x == 0 : a.aim_x != previous);
        previous = a.aim_x;
    }
}

static void easing_starts_at_0_ends_at_1_and_never_goes_back(void **state)
{
    (void)state;
    for (int32_t easing = EASING_LINEAR; easing <= EASING_IN_OUT; easing++) {
        double previous = 0;
        assert_true(camera_ease(easing, -1) == 0 && camera_ease(easing, 0) == 0);
        assert_true(camera_ease(easing, 1) == 1 && camera_ease(easing, 2) == 1);
        for (int i = 1; i < 1000; i++) {
            double e = camera_ease(easing, i / 1000.0);
            assert_true(e > previous);
            previous = e;
        }
    }
    assert_true(camera_ease(EASING_IN, 0.1) < 0.1 && camera_ease(EASING_OUT, 0.1) > 0.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_camera_never_looks_past_the_photo),
        cmocka_unit_test(straight_and_bent_views_agree_without_depth),
        cmocka_unit_test(each_move_goes_where_its_name_says),
        cmocka_unit_test(an_orbit_shows_the_sides_in_turn_larger),
        cmocka_unit_test(strength_0_stands_still),
        cmocka_unit_test(near_moves_more_than_far),
        cmocka_unit_test(an_orbit_turns_near_against_far),
        cmocka_unit_test(the_same_seed_aims_the_same_and_others_elsewhere),
        cmocka_unit_test(easing_starts_at_0_ends_at_1_and_never_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
