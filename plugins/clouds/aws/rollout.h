/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rollout.h - what new instances are made from, and replacing those made from something else.
 *
 * A roll-out is an instance refresh of the group. It never picks an instance that is protected from scale-in, which
 * every instance with a lease is; the controller drains those, so that they end when their work is done.
 */
#ifndef AWS_ROLLOUT_H
#define AWS_ROLLOUT_H

#include <bp/fleet.h>

/* Facet functions, contracts in bp/fleet.h; inst is struct aws. */
int32_t fleet_image(void *inst, const struct bp_fleet_spec *spec, const char *ami, int32_t force, char **out,
                    struct bp_err *err); /* ami.c */
int32_t fleet_rollout(void *inst, const char *slug, int32_t what, char **out, struct bp_err *err);

#endif
