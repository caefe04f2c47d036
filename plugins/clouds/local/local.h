/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local.h - the plugin as a whole: what every part of it reaches.
 *
 * The parts live from start() to stop(); facet functions run on several threads at once, so each part guards itself.
 */
#ifndef LOCAL_LOCAL_H
#define LOCAL_LOCAL_H

#include "file.h"
#include "settings.h"
#include <bp/check.h>
#include <bp/cloud.h>
#include <bp/fleet.h>
#include <bp/plugin.h>

struct fleets;
struct objects;
struct params;
struct metrics;
struct logs;
struct notify;
struct node;

struct local {
    const struct bp_host *host;
    struct bp_self *self;
    struct settings settings;
    char dir[PATH_DIR_MAX + 1]; /* the plugin's state directory */
    struct objects *objects;
    struct params *params;
    struct metrics *metrics;
    struct logs *logs;
    struct notify *notify;
    struct node *node;
    struct fleets *fleets; /* NULL in a worker */
};

#define LOCAL_LOG(l, level, ...) ((l)->host->log((l)->self, (level), __VA_ARGS__))
#define LOCAL_NOW(l)             ((l)->host->now_ms((l)->self))

/* Text for the host, in its allocator; NULL without memory. */
char *local_text(const struct local *l, const char *text);

/* Each part: X_open() makes its struct (NULL with err), X_close() frees it (NULL allowed), X_facet is its table. */
struct objects *objects_open(struct local *l, struct bp_err *err);
void objects_close(struct objects *o);
extern const struct bp_objects objects_facet;
const char *objects_dir(const struct objects *o); /* borrowed until objects_close() */

struct params *params_open(struct local *l, struct bp_err *err);
void params_close(struct params *p);
extern const struct bp_params params_facet;

struct metrics *metrics_open(struct local *l, struct bp_err *err);
void metrics_close(struct metrics *m);
extern const struct bp_metrics metrics_facet;

struct logs *logs_open(struct local *l, struct bp_err *err);
void logs_close(struct logs *g);
extern const struct bp_logs logs_facet;

struct notify *notify_open(struct local *l, struct bp_err *err);
void notify_close(struct notify *n);
extern const struct bp_notify notify_facet;

struct node *node_open(struct local *l, struct bp_err *err);
void node_close(struct node *n);
extern const struct bp_node node_facet;

struct fleets *fleets_open(struct local *l, struct bp_err *err);
/* Ends the instances as settings say; blocks up to stopGraceSeconds and a little. */
void fleets_close(struct fleets *f);
/* Ends every instance (when stopInstancesOnExit is set) while the fleets' thread goes on; returns when they are gone.
 */
int fleets_end(struct fleets *f, struct bp_err *err);
extern const struct bp_fleet fleet_facet;

extern const struct bp_check check_facet;

#endif
