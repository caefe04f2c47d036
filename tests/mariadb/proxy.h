/* SPDX-License-Identifier: Apache-2.0 */
/* proxy.h - a Unix socket in front of a server that cuts or freezes the connection at the commit, when told. */
#ifndef TEST_PROXY_H
#define TEST_PROXY_H

#define PASS                 0
#define CUT_BEFORE_COMMIT    1 /* the COMMIT does not arrive */
#define CUT_AFTER_COMMIT     2 /* it does, its answer does not */
#define FREEZE_BEFORE_COMMIT 3 /* the same, but the connection stays, silent, until the client is gone */
#define FREEZE_AFTER_COMMIT  4
#define REFUSE               5 /* the connection ends, and so do new ones, until PASS */

/* Starts it on socket path `proxy.sock` of the working directory. Started before, it leads to this server from the next
 * connection on. */
const char *proxy_start(const char *server_socket);
/* What happens at the next COMMIT, once, or from now on. */
void proxy_cut(int how);
/* From now on connections are accepted and nothing is answered; 0: goes on, without what was said meanwhile. */
void proxy_freeze(int on);
/* From now on sessions get this isolation where they ask for READ COMMITTED, as behind a proxy that knows better; NULL:
 * what they ask for. At most 14 characters. */
void proxy_isolation(const char *level);
/* Cuts and freezes made so far. */
int proxy_cuts(void);

#endif
