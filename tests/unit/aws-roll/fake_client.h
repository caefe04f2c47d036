/* SPDX-License-Identifier: Apache-2.0 */
/* fake_client.h - the client as a list of answers given by the test, in order; what was asked is kept. */
#ifndef FAKE_CLIENT_H
#define FAKE_CLIENT_H

#include "../aws-objects/fake_aws.h"
#include "client.h"

#define FAKE_CALLS 32

struct fake_call {
    enum aws_op op;
    char form[8192]; /* or the JSON */
};

extern struct fake_call fake_calls[FAKE_CALLS];
extern int fake_n_calls;

/* The next call is answered so: body is XML of a query answer or JSON, code "" when it goes well; rc as the client
 * gives it. */
void fake_answer(const char *body, const char *code, int rc);
void fake_client_reset(void);

#endif
