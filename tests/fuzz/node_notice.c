/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of the instance metadata: nothing is read past their end, a notice has a time, and there is one only where the
 * body says so in its own words. */
#include "node_notice.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *body = malloc(size ? size : 1); /* of exactly this size, for the sanitizer */
    int64_t at = -1;
    if (size)
        memcpy(body, data, size);
    check(!notice_action(body, size, &at) || (at >= 0 && memchr(body, '{', size)));
    at = -1;
    check(!notice_rebalance(body, size, &at) || (at >= 0 && memchr(body, '{', size)));
    check(notice_time(body, size) < 0 || size >= 20);
    check(!notice_target_ends(body, size) || size >= 10);
    free(body);
    return 0;
}
