/* SPDX-License-Identifier: Apache-2.0 */
/* sd_notify.h - tells the service manager how we are, by the datagram protocol of sd_notify(3), without libsystemd. */
#ifndef CORE_SD_NOTIFY_H
#define CORE_SD_NOTIFY_H

#include <stdint.h>

/* Sends "READY=1", "STOPPING=1", "STATUS=...". Does nothing when NOTIFY_SOCKET is not set; never fails loudly. */
void sd_notify_send(const char *state);
/* RELOADING=1 with the time stamp the protocol asks for. */
void sd_notify_reloading(void);
/* How often WATCHDOG=1 must be sent, ms (half of WATCHDOG_USEC), 0: no watchdog. */
int64_t sd_notify_watchdog_ms(void);

#endif
