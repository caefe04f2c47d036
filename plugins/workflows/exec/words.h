/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words.h - the command's arguments and environment, made of the settings, the job and its params.
 *
 * What a tenant sends becomes whole arguments and values of variables, never program text: no shell is started but the
 * one a command names, a param must not stand in a script (sh -c, python -c, ...), and none may begin an argument with
 * '-' unless the settings say so.
 */
#ifndef EXEC_WORDS_H
#define EXEC_WORDS_H

#include "settings.h"

/* What placeholders stand for. Borrowed. */
struct scope {
    const char *const *inputs;
    uint32_t n_inputs;
    const char *output, *temp, *params_file, *checkpoint, *dir, *assets, *slug, *device;
    int64_t job;
    int32_t attempt;
    struct json_object *params; /* object */
    /* For a look at the settings without a job, schema NULL: there is one. Every param that the schema knows, every
     * input and every asset of the list is there then, and another is BP_INVALID. */
    struct {
        struct json_object *schema, *assets;
    } sample;
};

/* Lists of texts, each ending with NULL. words_free() it. */
struct words {
    char **argv, **envp;
};

/* BP_INVALID: the settings are wrong; BP_BADINPUT: this job's params are; BP_NOMEM. Words in err. base: the environment
 * to start from; NULL-terminated. On error there is nothing to free. */
int32_t words_make(struct words *w, const struct settings *s, const struct scope *scope, char *const *base,
                   struct bp_err *err);
void words_free(struct words *w);
/* The file to run: argv[0] as it is when absolute, under dir when it has a slash, else found in the PATH of envp. To
 * out. BP_NOTFOUND with a remedy. */
int32_t words_program(const struct words *w, const char *dir, char *out, size_t n, struct bp_err *err);

#endif
