/* SPDX-License-Identifier: Apache-2.0 */
#include <bp/canvas.h>

struct kit_probe_args {
    struct bp_canvas from, to;
    float scale;
};
