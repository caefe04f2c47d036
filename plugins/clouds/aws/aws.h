/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aws.h - the plugin as a whole: what every part of it reaches.
 *
 * The parts live from start() to stop(); facet functions run on several threads at once, so each part guards itself.
 */
#ifndef AWS_AWS_H
#define AWS_AWS_H

#include "settings.h"
#include <bp/check.h>
#include <bp/cloud.h>
#include <bp/fleet.h>
#include <bp/plugin.h>

struct http;
struct client;
struct credentials;
struct imds;
struct objects;
struct params;
struct metrics;
struct logs;
struct notify;
struct node;
struct fleets;
struct checks;

struct aws {
    const struct bp_host *host;
    struct bp_self *self;
    struct settings settings;
    struct http *http;
    struct imds *imds;
    struct credentials *credentials;
    struct client *client;
    struct objects *objects;
    struct params *params;
    struct metrics *metrics; /* NULL in a worker */
    struct logs *logs;
    struct notify *notify; /* NULL in a worker */
    struct node *node;
    struct fleets *fleets; /* NULL in a worker */
};

#define AWS_LOG(a, level, ...) ((a)->host->log((a)->self, (level), __VA_ARGS__))
#define AWS_NOW(a)             ((a)->host->now_ms((a)->self))

/* Text for the host, in its allocator; NULL without memory. */
char *aws_text(const struct aws *a, const char *text);

/* Each part: X_open() makes its struct (NULL with err; no network), X_close() frees it (NULL allowed), X_facet is its
 * table. */
struct objects *objects_open(struct aws *a, struct bp_err *err);
void objects_close(struct objects *o);
extern const struct bp_objects objects_facet;
void objects_checks(struct aws *a, struct checks *k); /* checks.h */

struct params *params_open(struct aws *a, struct bp_err *err);
void params_close(struct params *p);
extern const struct bp_params params_facet;
void params_checks(struct aws *a, struct checks *k);

struct metrics *metrics_open(struct aws *a, struct bp_err *err);
void metrics_close(struct metrics *m);
extern const struct bp_metrics metrics_facet;
void metrics_checks(struct aws *a, struct checks *k);

struct logs *logs_open(struct aws *a, struct bp_err *err);
void logs_close(struct logs *g);
extern const struct bp_logs logs_facet;
void logs_checks(struct aws *a, struct checks *k);

struct notify *notify_open(struct aws *a, struct bp_err *err);
void notify_close(struct notify *n);
extern const struct bp_notify notify_facet;
void notify_checks(struct aws *a, struct checks *k);

struct node *node_open(struct aws *a, struct bp_err *err);
void node_close(struct node *n);
extern const struct bp_node node_facet;

struct fleets *fleets_open(struct aws *a, struct bp_err *err);
void fleets_close(struct fleets *f);
extern const struct bp_fleet fleet_facet;
void fleet_checks(struct aws *a, struct checks *k);
extern const struct bp_check check_facet;

#endif
