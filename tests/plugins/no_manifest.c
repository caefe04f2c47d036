/* SPDX-License-Identifier: Apache-2.0 */
#include <bp/plugin.h>

BP_EXPORT int harmless(void);

int harmless(void)
{
    return 1;
}
