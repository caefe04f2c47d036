/* SPDX-License-Identifier: Apache-2.0 */
/* order_inputs.h - the files a tenant hands to a job: their keys, kinds and number against the workflow's manifest. */
#ifndef DISPATCH_ORDER_INPUTS_H
#define DISPATCH_ORDER_INPUTS_H

#include "dispatch/input.h"
#include "host/host.h"

struct order_inputs {
    const struct workflow *workflow;
    const char *tenant;
    struct json_object *list; /* body member "inputs", or NULL */
    struct json_object *one;  /* body member "input", or NULL */
};

/* The inputs as they are stored: [{"key","mime","name"}]. What is wrong is added to in. The caller's. */
struct json_object *order_inputs_read(struct input *in, const struct order_inputs *what);

#endif
