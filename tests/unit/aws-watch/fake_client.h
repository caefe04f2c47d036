/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_client.h - the client's query and JSON calls, answered as they are told and kept; and a background that takes no
 * steps: tests take them.
 */
#ifndef FAKE_CLIENT_H
#define FAKE_CLIENT_H

#include "background.h"
#include "client.h"

/* What one call is answered with. */
struct fake_answer {
    int rc, status;   /* status 0 with rc < 0: there was no answer */
    const char *code; /* AWS' error, or NULL */
    const char *body; /* XML or JSON, or NULL */
    int unsure;
};

void fake_client_reset(void);
/* The next call that nothing is said about yet is answered so, `times` times; others work and say nothing. */
void fake_client_say(struct fake_answer a, int times);
extern void (*fake_client_on_call)(void); /* while a call is under way, or NULL */
int fake_client_calls(void);
enum aws_op fake_client_op(int i);
const char *fake_client_request(int i); /* the form or JSON text of call i */
/* How often an operation was called. */
int fake_client_count(enum aws_op op);

/* Of the background that was started last. */
int64_t fake_background_step(void);
int fake_background_wakes(void);

#endif
