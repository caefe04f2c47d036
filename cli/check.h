/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - the parts of `bpctl plugin check`. Each looks at one side of a plugin file and adds what it finds; none
 * runs any of the plugin's code in this process.
 */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include "finding.h"
#include "plugin_file.h"

#define CHECK_SAMPLES 32
#define CHECK_START_S 30 /* as plugins.startTimeoutSeconds */

struct check {
    struct plugin_file file;
    struct findings found;
    const char *samples[CHECK_SAMPLES]; /* of --sample; none: one that is built in */
    uint32_t n_samples;
    struct json_object *params;   /* of --params, or NULL */
    struct json_object *settings; /* of --settings, plugin.<name> of the daemon's settings, or NULL */
    int timeout_s;                /* of one run, and, up to CHECK_START_S, of coming up */
    char runner[PATH_MAX];
    char dir[PATH_MAX];        /* a directory of this check alone */
    struct json_object *run;   /* what the dry run measured, or NULL */
    struct json_object *probe; /* what the probe found, or NULL */
};

/* How long it may take to come up, ms. */
static inline int check_start_ms(const struct check *c)
{
    return (c->timeout_s < CHECK_START_S ? c->timeout_s : CHECK_START_S) * 1000;
}

/* ---- check_file.c: owner, mode, ELF ---- */
void check_file(struct check *c);
/* ---- check_manifest.c ---- */
void check_manifest(struct check *c);
/* Makes the workflow of a file of workflows.d out of a template: its manifest takes the place of the file's. -1: it is
 * wrong (told). */
int check_define(struct check *c, const char *path);
/* ---- check_params.c: the schema of the params. A schema that is wrong is an error. ---- */
void check_params(struct check *c);
/* ---- check_probe.c: load, start, facets, stop, in a child ---- */
/* 1: it came up. */
int check_probe(struct check *c);
/* ---- check_run.c: a workflow's run() on a sample, in a runner on the CPU device ---- */
void check_run(struct check *c);

/* A plugin's settings as the daemon would give them, NULL when they cannot be (told). json_object_put() it. */
struct json_object *check_settings(struct check *c);

/* ---- check_sample.c ---- */
struct sample {
    char path[PATH_MAX];
    const char *mime, *name; /* static, or borrowed from the check */
};
/* Puts the inputs of the dry run into dir: those given, or one that fits `accepts`. Returns how many, or -1 when none
 * can be made (told). */
int check_samples(struct check *c, const char *dir, struct sample *out);

#endif
