/* SPDX-License-Identifier: Apache-2.0 */
#include "camera.h"

#include <math.h>
#include <stdint.h>

#define PUSH_ZOOM    0.6 /* zoom gained at strength 1 */
#define PAN_ZOOM     0.4
#define ORBIT_ANGLE  0.35 /* radians, 20 degrees */
#define FOCAL_LENGTH 1.2  /* in output widths: a normal lens */
#define RELIEF       0.8  /* near moves this much more than the middle, at parallax 1: half of it */
#define ORBIT_RELIEF 0.25 /* in photo heights, from far to near */

/* splitmix64 (Steele, Lea, Flood 2014), its top bits as -1..1. */
static double noise(uint64_t seed, uint64_t i)
{
    uint64_t z = seed * 0x9e3779b97f4a7c15ULL + i * 0xd1b54a32d192ed03ULL;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-52 - 1.0;
}

static double varied(const struct request *r, uint64_t i)
{
    return r->seed ? noise((uint64_t)r->seed, i) : 0;
}

double camera_ease(int32_t easing, double t)
{
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    switch (easing) {
    case EASING_IN:
        return t * t;
    case EASING_OUT:
        return 1 - (1 - t) * (1 - t);
    case EASING_IN_OUT:
        return t * t * (3 - 2 * t);
    default:
        return t;
    }
}

int32_t camera_is_bent(const struct request *r)
{
    return r->move == MOVE_ORBIT || r->parallax > 0;
}

/* Photo beyond the window at zoom z, both sides together. */
static double slack_x(const struct camera *c, double z)
{
    return fmax(0, c->width - c->request->width * c->base / z);
}

static double slack_y(const struct camera *c, double z)
{
    return fmax(0, c->height - c->request->height * c->base / z);
}

static void init_push(struct camera *c)
{
    const struct request *r = c->request;
    c->zoom_to = 1 + PUSH_ZOOM * r->strength;
    if (r->move == MOVE_PULL) {
        c->zoom_from = c->zoom_to;
        c->zoom_to = 1;
    }
    c->aim_x = varied(r, 1) * c->width * 0.25;
    c->aim_y = varied(r, 2) * c->height * 0.25;
    c->relief = RELIEF * r->parallax;
}

static void init_pan(struct camera *c)
{
    const struct request *r = c->request;
    double s = r->strength, reach = 1 - (1 - s) * (1 - s);
    c->zoom_from = c->zoom_to = 1 + PAN_ZOOM * s;
    c->relief = RELIEF * r->parallax;
    reach /= 1 + c->relief / 2; /* what is near or far reaches further */
    double across_x = slack_x(c, c->zoom_to), across_y = slack_y(c, c->zoom_to);
    if (r->move == MOVE_PAN_LEFT || r->move == MOVE_PAN_RIGHT) {
        c->travel_x = across_x * reach * (r->move == MOVE_PAN_LEFT ? -1 : 1);
        c->aim_y = varied(r, 2) * across_y * 0.25;
    } else {
        c->travel_y = across_y * reach * (r->move == MOVE_PAN_UP ? -1 : 1);
        c->aim_x = varied(r, 1) * across_x * 0.25;
    }
}

/* The zoom keeps the corner that comes nearest inside the photo. */
static void init_orbit(struct camera *c)
{
    const struct request *r = c->request;
    double angle = ORBIT_ANGLE * r->strength;
    c->relief = ORBIT_RELIEF * r->parallax * fmin(c->width, c->height);
    double nearest = 1 - 0.5 * tan(angle) / FOCAL_LENGTH;
    double shift = c->relief * tan(angle) / c->width;
    c->zoom_from = c->zoom_to = 1 / (cos(angle) * nearest * (1 - shift));
    c->angle = varied(r, 3) < 0 ? -angle : angle;
}

void camera_init(struct camera *c, const struct request *r, double width, double height)
{
    *c = (struct camera){.request = r, .width = width, .height = height, .zoom_from = 1, .zoom_to = 1};
    c->base = fmin(width / r->width, height / r->height);
    if (r->move == MOVE_PUSH || r->move == MOVE_PULL)
        init_push(c);
    else if (r->move == MOVE_ORBIT)
        init_orbit(c);
    else
        init_pan(c);
}

double camera_min_scale(const struct camera *c)
{
    return c->base / fmax(c->zoom_from, c->zoom_to);
}

/* Perspective and depth stretch what they bend; at the edge of an orbit by what its zoom makes up for. */
double camera_max_scale(const struct camera *c)
{
    return c->request->move == MOVE_ORBIT ? c->base : c->base / fmin(c->zoom_from, c->zoom_to);
}

/* A zoom that looks even must grow by the same factor in the same time. */
static double zoom_at(const struct camera *c, double e)
{
    return c->zoom_from * pow(c->zoom_to / c->zoom_from, e);
}

/* Where the window's middle is. A push keeps what it aims at where it is on the screen. */
static void middle_at(const struct camera *c, double e, double z, double *x, double *y)
{
    int32_t pushes = c->request->move == MOVE_PUSH || c->request->move == MOVE_PULL;
    double aim = pushes ? 1 - 1 / z : 1;
    *x = c->width / 2 + c->aim_x * aim + c->travel_x * (e - 0.5);
    *y = c->height / 2 + c->aim_y * aim + c->travel_y * (e - 0.5);
}

void camera_straight(const struct camera *c, double t, struct straight_view *out)
{
    const struct request *r = c->request;
    double e = camera_ease(r->easing, t), z = zoom_at(c, e), scale = c->base / z, x, y;
    middle_at(c, e, z, &x, &y);
    out->scale = (float)scale;
    out->x0 = (float)(x - 0.5 + (0.5 - r->width / 2.0) * scale);
    out->y0 = (float)(y - 0.5 + (0.5 - r->height / 2.0) * scale);
}

/*
 * The plane turned by angle a about the vertical through its middle, seen from its distance: an output pixel (x, y)
 * from the middle meets it at (x / cos a, y) * scale / (1 + x tan(a) / f).
 */
static void tilt(const struct camera *c, double a, double scale, double x, double y, struct bent_view *out)
{
    const struct request *r = c->request;
    double k = tan(a) / (FOCAL_LENGTH * r->width);
    double mx = 0.5 - r->width / 2.0, my = 0.5 - r->height / 2.0; /* of output pixel (0, 0) from the middle */
    double sx = scale / cos(a), w0 = 1 + k * mx;
    double h[8] = {
        sx + (x - 0.5) * k, 0, sx * mx + (x - 0.5) * w0, (y - 0.5) * k, scale, scale * my + (y - 0.5) * w0, k, 0};
    for (int i = 0; i < 8; i++)
        out->h[i] = (float)(h[i] / w0);
}

void camera_bent(const struct camera *c, double t, struct bent_view *out)
{
    const struct request *r = c->request;
    double e = camera_ease(r->easing, t), z = zoom_at(c, e), x, y;
    middle_at(c, e, z, &x, &y);
    double a = c->angle * (2 * e - 1);
    tilt(c, a, c->base / z, x, y, out);
    double grow = r->move == MOVE_PUSH || r->move == MOVE_PULL ? -c->relief * log(z) : 0;
    double aside = r->move == MOVE_ORBIT ? c->relief * tan(a) : 0;
    out->px = (float)(c->relief * c->travel_x * (e - 0.5) * (r->move != MOVE_ORBIT) + aside - grow * (x - 0.5));
    out->py = (float)(c->relief * c->travel_y * (e - 0.5) * (r->move != MOVE_ORBIT) - grow * (y - 0.5));
    out->pz = (float)grow;
}

/* Where output pixel (x, y) looks, without depth. */
static void look(const struct camera *c, double t, double x, double y, double at[2])
{
    struct bent_view v;
    camera_bent(c, t, &v);
    double w = v.h[6] * x + v.h[7] * y + 1;
    at[0] = (v.h[0] * x + v.h[1] * y + v.h[2]) / w;
    at[1] = (v.h[3] * x + v.h[4] * y + v.h[5]) / w;
}

/* The corners move most; depth adds to it by its part. */
double camera_motion(const struct camera *c, double t0, double t1)
{
    const struct request *r = c->request;
    double most = 0;
    for (int i = 0; i < 4; i++) {
        double from[2], to[2], x = i & 1 ? r->width : 0, y = i & 2 ? r->height : 0;
        look(c, t0, x, y, from);
        look(c, t1, x, y, to);
        most = fmax(most, hypot(to[0] - from[0], to[1] - from[1]));
    }
    double z = zoom_at(c, camera_ease(r->easing, (t0 + t1) / 2));
    return most * z / c->base * (1 + r->parallax * RELIEF / 2);
}
