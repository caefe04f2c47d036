/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The headers agree with the frozen layout, or this does not compile. Offsets never move; structs may only grow, and
 * struct bp_err, which callers allocate without a size word, may not even do that.
 */
#include <bp/check.h>
#include <bp/cloud.h>
#include <bp/device.h>
#include <bp/fleet.h>
#include <bp/job.h>
#include <bp/plugin.h>
#include <bp/queue.h>
#include <bp/scaling.h>

#define AT(type, member, offset)                                                                                       \
    _Static_assert(offsetof(struct type, member) == (offset), #type "." #member " moved: ABI 1 is frozen");
#define SIZE(type, bytes) _Static_assert(sizeof(struct type) >= (bytes), "struct " #type " shrank: ABI 1 is frozen");
#include "v1.def"

_Static_assert(sizeof(struct bp_err) == 256, "struct bp_err has no size word: it can never grow");
_Static_assert(sizeof(((struct bp_op *)0)->u) == 256, "the union of struct bp_op keeps its size within ABI 1");
/* NOLINTBEGIN(misc-redundant-expression): that both sides are the same is what is asserted */
_Static_assert(BP_ABI_VERSION == BP_ABI(1, 0), "a new minor needs its own lines in v1.def");
_Static_assert(BP_OK == 0 && BP_FAIL == -1 && BP_INVALID == -2 && BP_NOTFOUND == -3 && BP_CONFLICT == -4 &&
                   BP_LATER == -5 && BP_TIMEOUT == -6 && BP_NOSPACE == -7 && BP_UNSUPPORTED == -8 && BP_DENIED == -9 &&
                   BP_STALE == -10 && BP_STOPPED == -11 && BP_BADINPUT == -12 && BP_NOMEM == -13 && BP_IO == -14 &&
                   BP_TOOLARGE == -15,
               "return codes are numbers of ABI 1");
/* NOLINTEND(misc-redundant-expression) */

int main(void)
{
    return 0;
}
