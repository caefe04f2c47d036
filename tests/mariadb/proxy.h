/* SPDX-License-Identifier: Apache-2.0 */
/* proxy.h - a Unix socket in front of the server that cuts the connection at the commit, when told. */
#ifndef TEST_PROXY_H
#define TEST_PROXY_H

#define CUT_NEVER         0
#define CUT_BEFORE_COMMIT 1 /* the COMMIT does not arrive */
#define CUT_AFTER_COMMIT  2 /* it does, its answer does not */

/* Starts it on socket path `proxy.sock` of the working directory; one connection at a time. */
const char *proxy_start(const char *server_socket);
/* What happens at the next COMMIT; once. */
void proxy_cut(int how);
/* From now on connections are accepted and nothing is answered; 0: goes on, without what was said meanwhile. */
void proxy_freeze(int on);
/* Cuts made so far. */
int proxy_cuts(void);

#endif
