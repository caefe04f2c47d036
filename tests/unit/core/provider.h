/* SPDX-License-Identifier: Apache-2.0 */
/* provider.h - a loop, a bus, a config and one actor that serves a table, for what main itself does with services. */
#ifndef TESTS_UNIT_CORE_PROVIDER_H
#define TESTS_UNIT_CORE_PROVIDER_H

#include "cm.h"

#include "bus/bus.h"
#include "config/config.h"

struct provider {
    struct loop *loop;
    struct bus *bus;
    struct config *config;
    struct actor *actor; /* NULL: none serves */
};

/* sets: NULL-terminated "key=value" list. */
void provider_open(struct provider *p, const char *const *sets);
void provider_serve(struct provider *p, const char *service, const void *table, void *inst);
/* Runs the loop for so long. */
void provider_turn(struct provider *p, int64_t ms);
/* Runs it until the number reaches n; fails the test after 20 s. */
void provider_until(struct provider *p, const _Atomic int *number, int n);
struct config *provider_config(const char *const *sets);
/* Ends the actor; what stands on the bus is the test's to free before provider_close(), after this. */
void provider_quiet(struct provider *p);
void provider_close(struct provider *p);

#endif
