/* Compiled to PTX for the GPU and as C for the CPU: written in what C and CUDA share. bp/kernel.h has the rules. */
#include <bp/kernel.h>

#include "my_workflow_args.h"

BP_FN uint8_t mixed(uint8_t from, float to, float strength)
{
    return bp_byte((float)from + (to - (float)from) * strength);
}

/* Called once for each pixel (x, y) of `to`, in any order. */
BP_KERNEL_PIXEL(my_workflow_pixel, struct my_workflow_args, a, x, y)
{
    const uint8_t *from = bp_pixel(&a->from, x, y);
    uint8_t *to = bp_pixel(&a->to, x, y);
    float grey = 0.299f * from[0] + 0.587f * from[1] + 0.114f * from[2];
    to[0] = mixed(from[0], grey, a->strength);
    to[1] = mixed(from[1], grey, a->strength);
    to[2] = mixed(from[2], grey, a->strength);
    to[3] = from[3];
}
