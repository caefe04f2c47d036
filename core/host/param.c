/* SPDX-License-Identifier: Apache-2.0 */
#include "host/param.h"

#include "log/err.h"
#include <stdlib.h>
#include <string.h>

int param_read(const struct bp_params *params, void *inst, const char *name, int fresh, char *value, size_t size,
               struct bp_err *err)
{
    char *given = NULL;
    int past_cache = fresh && BP_HAS(params, get_fresh);
    int rc = (past_cache ? params->get_fresh : params->get)(inst, name, &given, err);
    if (rc == 0 && !given)
        rc = err_set(err, BP_FAIL, "parameter %.150s was given without a value", name);
    if (rc < 0)
        return rc;
    size_t n = strlen(given);
    if (n >= size)
        rc = err_set(err, BP_INVALID, "parameter %.150s has %zu bytes; at most %zu are taken", name, n, size - 1);
    else
        memcpy(value, given, n + 1);
    explicit_bzero(given, n);
    free(given);
    return rc;
}
