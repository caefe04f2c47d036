/* SPDX-License-Identifier: Apache-2.0 */
/* A job's params, read without a JSON library, and the request image-to-video makes of them. */
#include "request.h"

#include <bp/workflow.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_request(const struct bp_job *job)
{
    struct request r;
    struct bp_err err;
    if (request_read(job, &r, &err) != BP_OK)
        return;
    assert(r.width >= 64 && r.width <= 3840 && r.width % 2 == 0);
    assert(r.height >= 64 && r.height <= 2160 && r.height % 2 == 0);
    assert(r.fps >= 10 && r.fps <= 60 && r.frames >= 2 && r.frames <= 3600);
    assert(r.move >= MOVE_PUSH && r.move <= MOVE_ORBIT && r.easing >= EASING_LINEAR && r.easing <= EASING_IN_OUT);
    assert(r.strength >= 0 && r.strength <= 1 && r.parallax >= 0 && r.parallax <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"a", "move", "duration", "seed", ""};
    char *text = malloc(size + 1), small[5];
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    struct bp_job job = {.size = sizeof job, .params = text};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)bp_param_f_or(&job, names[i], 1);
        (void)bp_param_i_or(&job, names[i], 1);
        int32_t b = bp_param_b_or(&job, names[i], 2);
        assert(b >= 0 && b <= 2);
        assert(strlen(bp_param_s(&job, names[i], small, sizeof small)) < sizeof small);
        assert(strlen(bp_param_s(&job, names[i], small, 1)) == 0);
    }
    check_request(&job);
    free(text);
    return 0;
}
