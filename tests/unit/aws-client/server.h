/* SPDX-License-Identifier: Apache-2.0 */
/* server.h - an HTTP server on loopback that answers by a script and keeps what it was asked. */
#ifndef TEST_SERVER_H
#define TEST_SERVER_H

/* What a request gets, in the order they come in; the last step stands for all later ones. */
struct step {
    const char *answer; /* status line, headers, blank line and body; "%DATE%" in it is the server's time; NULL: none */
    int hang_up;        /* 1: the connection ends behind the answer, without a word about that */
};

/* Starts; its time is `ahead_s` before ours. The port. */
int server_start(const struct step *steps, int n, int ahead_s);
void server_stop(void);
int server_requests(void);         /* so far */
int server_connections(void);      /* so far */
const char *server_request(int i); /* head and body as they came */
int server_request_bytes(int i);   /* of the body */
const char *server_request_body(int i);

#endif
