/* SPDX-License-Identifier: Apache-2.0 */
/* peers.h - the queues that bpd is compared with. */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include "dispatch/peer.h"

extern const struct peer PEER_BEANSTALKD; /* put, reserve-with-timeout, delete */
extern const struct peer PEER_REDIS;      /* a stream: XADD, XREADGROUP BLOCK, XACK and XDEL */
extern const struct peer PEER_GEARMAND;   /* background jobs: SUBMIT_JOB_BG, GRAB_JOB, WORK_COMPLETE */
extern const struct peer PEER_PHP; /* a backend in PHP that speaks the worker protocol (bench/compare/backend.php) */

#endif
