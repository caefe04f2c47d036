/* What the kernel is given. Fixed-width members only; addresses in it are of the device. */
#include <bp/canvas.h>

struct my_workflow_args {
    struct bp_canvas from, to;
    float strength; /* 0..1 */
};
