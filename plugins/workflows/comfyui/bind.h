/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bind.h - what a job's params and files are in the graph: a value for each property.
 *
 * The job's files go to the primary property first and then, in order, to the other properties of files that may come
 * from the job. A property of which the job says nothing takes its default.
 */
#ifndef COMFYUI_BIND_H
#define COMFYUI_BIND_H

#include "graph.h"
#include "settings.h"

#include <bp/job.h>

#define FILE_NAME_MAX 256

/* A file that must be in ComfyUI's input folder before the graph runs. */
struct file {
    const char *key;          /* of its property */
    char path[4096];          /* to upload; "": it is there already */
    char name[FILE_NAME_MAX]; /* in ComfyUI's input folder, maybe with a folder before it */
    int64_t bytes;            /* of path */
    int from_job;             /* a tenant's, not the workflow's */
};

struct bound {
    struct value values[PROPERTIES_MAX + 1];
    uint32_t n_values;
    struct file files[PROPERTIES_MAX + 1];
    uint32_t n_files;
    char primary[FILE_NAME_MAX * 2]; /* name of the first input, with the prefix; "": there is none */
};

/* params: the job's, an object. The files' names say what is in them (a hash), so the same file has the same name, and
 * ComfyUI, which remembers results by names, mixes no two up. bound_free() also after an error. BP_BADINPUT: a file or
 * a value that is needed was not given; BP_INVALID: the settings or the graph are at fault; BP_IO: a file cannot be
 * read. */
int32_t bind_job(struct bound *b, const struct settings *s, const struct bp_job *job, struct json_object *params,
                 struct json_object *graph, struct bp_err *err);
void bound_free(struct bound *b);

#endif
