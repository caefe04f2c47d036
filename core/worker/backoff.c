/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/backoff.h"

#include <stdlib.h>

#define FIRST_MS       250
#define CAP_MS         30000
#define RETRY_AFTER_MS 300000 /* no server is believed more */

int64_t backoff_next_ms(struct backoff *b, int64_t retry_after_s)
{
    int64_t ms = FIRST_MS;
    for (int i = 0; i < b->tries && ms < CAP_MS; i++)
        ms *= 2;
    ms = ms > CAP_MS ? CAP_MS : ms;
    b->tries++;
    ms = ms / 2 + (int64_t)arc4random_uniform((uint32_t)(ms / 2 + 1)); /* a fleet must not come back in step */
    int64_t asked = retry_after_s > RETRY_AFTER_MS / 1000 ? RETRY_AFTER_MS : retry_after_s * 1000;
    return ms > asked ? ms : asked;
}
