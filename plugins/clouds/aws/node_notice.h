/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_notice.h - what the instance metadata says of the instance's end, read strictly: whatever stands there that is
 * not exactly a notice is none. Pure; any thread. Bodies are as received, n bytes, not trusted.
 */
#ifndef AWS_NODE_NOTICE_H
#define AWS_NODE_NOTICE_H

#include <stddef.h>
#include <stdint.h>

/* "2026-01-31T12:00:00Z" and nothing else (white space around is allowed): ms since 1970, or -1. */
int64_t notice_time(const char *text, size_t n);
/* spot/instance-action: {"action":"terminate|stop|hibernate","time":"..."}. 1 and *at_ms, or 0. */
int notice_action(const char *body, size_t n, int64_t *at_ms);
/* events/recommendations/rebalance: {"noticeTime":"..."}. 1 and *at_ms, or 0. */
int notice_rebalance(const char *body, size_t n, int64_t *at_ms);
/* autoscaling/target-lifecycle-state: is the instance meant to end? "Terminated" alone says so: Standby, Detached and
 * the states of a warm pool are not an end. */
int notice_target_ends(const char *body, size_t n);

#endif
