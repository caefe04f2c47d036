/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h - what a workflow's file says about its command. The host has checked it against the manifest's schema. */
#ifndef EXEC_SETTINGS_H
#define EXEC_SETTINGS_H

#include <bp/plugin.h>
#include <json-c/json.h>
#include <regex.h>

/* What an end of the command means for its job. */
enum meaning { MEANS_RETRYABLE = 1, MEANS_TERMINAL, MEANS_BAD_INPUT };

struct settings {
    struct json_object *json;          /* owns the rest */
    struct json_object *command, *env; /* env: NULL when there is none */
    const char *output;                /* file name, or NULL: {output} is job's own path */
    int reads_input;                   /* its standard input is the first input file */
    int prints_output;                 /* what it prints is the result */
    int has_pattern;
    regex_t pattern; /* of lines that tell progress */
    double full;     /* what the first group is a part of when there is no second */
    enum meaning codes[256];
    enum meaning otherwise;
    int64_t timeout_ms; /* 0: only the job's own */
    int64_t grace_ms;   /* between SIGTERM and SIGKILL */
    int64_t log_lines;
    int64_t memory_bytes, cpu_s; /* 0: only the runner's own limits */
    int dashes;                  /* a param may begin an argument with '-' */
};

/* BP_INVALID with a sentence that names the setting. settings_close() it, also after an error. */
int32_t settings_open(struct settings *s, const char *text, struct bp_err *err);
void settings_close(struct settings *s);

#endif
