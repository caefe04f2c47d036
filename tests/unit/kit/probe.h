/* SPDX-License-Identifier: Apache-2.0 */
/* probe.h - running kit-probe in a mode, over one small picture. */
#ifndef TEST_KIT_PROBE_H
#define TEST_KIT_PROBE_H

#include "cm.h"
#include <bp/media.h>
#include <bp/test.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH  13
#define HEIGHT 7

static struct bp_err err;

/* in.png: no two pixels alike. */
static inline void picture_write(void)
{
    uint8_t pixels[WIDTH * HEIGHT * 4];
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        memcpy(pixels + (size_t)i * 4, (uint8_t[]){(uint8_t)i, (uint8_t)(200 - i), 7, 255}, 4);
    struct bp_image image = {WIDTH, HEIGHT, pixels};
    assert_int_equal(bp_image_write(&image, "in.png", &err), BP_OK);
}

static inline struct bp_test *probe_open(void)
{
    struct bp_test *t;
    picture_write();
    assert_int_equal(bp_test_open(PROBE_SO, NULL, &t, &err), BP_OK);
    return t;
}

/* One job in a mode; what it wrote is in *out (empty when it failed). */
static inline int32_t probe_run(struct bp_test *t, const char *params, struct bp_image *out)
{
    struct bp_test_job job = {.params = params, .inputs = {"in.png"}, .output = "out.png"};
    *out = (struct bp_image){0};
    int32_t rc = bp_test_run(t, &job, &err);
    if (rc == BP_OK)
        assert_int_equal(bp_image_read("out.png", out, &err), BP_OK);
    return rc;
}

/* Channel c of pixel i. */
static inline uint8_t at(const struct bp_image *image, int i, int c)
{
    assert_true(image->pixels && i < image->width * image->height);
    return image->pixels ? image->pixels[i * 4 + c] : 0;
}

#endif
