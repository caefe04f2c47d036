/* The work of one job: the picture is on the device as f->from, the result is written from f->to. */
#include <bp/filter.h>

#include "my_workflow.kernel.h" /* made by bp_add_workflow() of kernel.cu */
#include "my_workflow_args.h"

static int32_t pass(struct bp_filter *f, struct bp_err *err)
{
    struct my_workflow_args args = {f->from, f->to, (float)bp_param_f(f->job, "strength")};
    return bp_filter_run(f, "my_workflow_pixel", &args, err);
}

BP_IMAGE_FILTER("my-workflow", my_workflow_kernels, pass)
