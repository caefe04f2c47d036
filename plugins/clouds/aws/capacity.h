/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capacity.h - why a launch failed, read out of what AWS says: one class, and the pool that it was about.
 *
 * A pool is an instance type in a zone in a market. Texts are those of scaling activities (StatusMessage), codes those
 * of LaunchInstances. What is not recognized stays FAILURE_OTHER and is shown as it came. Pure; any thread.
 */
#ifndef AWS_CAPACITY_H
#define AWS_CAPACITY_H

#include <stddef.h>

enum failure_class {
    FAILURE_CAPACITY = 1, /* no machines of that pool now: another pool, or later */
    FAILURE_QUOTA,        /* the account may have no more: ask AWS for more */
    FAILURE_IMAGE,        /* the AMI or its parameter */
    FAILURE_NETWORK,      /* subnet, addresses, security group */
    FAILURE_DENIED,       /* IAM, instance profile, KMS */
    FAILURE_OTHER
};

enum market { MARKET_ANY = 1, MARKET_SPOT, MARKET_ON_DEMAND };

struct failure {
    enum failure_class cls;
    enum market market;      /* MARKET_ANY: not said */
    char type[32], zone[32]; /* "": not said */
};

/* Reads a code ("" or NULL: none) and a text (the same). Fields that are set already in *out (type, zone) are kept:
 * what the answer's own members say is surer than what the text says. */
void failure_read(const char *code, const char *text, struct failure *out);
/* "capacity" ...: as in bp_activity.reason. */
const char *failure_name(enum failure_class cls);
/* What an operator can do about it, a clause. */
const char *failure_remedy(enum failure_class cls);
/* "spot", "on-demand", "any". */
const char *market_name(enum market m);

#endif
