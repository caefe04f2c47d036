/* SPDX-License-Identifier: Apache-2.0 */
/* talkative.c - a symbol that a plugin should have kept to itself. */
#include <bp/plugin.h>

BP_EXPORT int talkative_helper(void);
int talkative_helper(void)
{
    return 1;
}
