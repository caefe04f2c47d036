/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <bp/workflow.h>
#include <string.h>

static struct json_object *member(struct json_object *o, const char *name, enum json_type type)
{
    struct json_object *v = NULL;
    if (!json_object_object_get_ex(o, name, &v) || !json_object_is_type(v, type))
        return NULL;
    return v;
}

static int64_t whole(struct json_object *o, const char *name, int64_t fallback)
{
    struct json_object *v = member(o, name, json_type_int);
    return v ? json_object_get_int64(v) : fallback;
}

static double number(struct json_object *o, const char *name, double fallback)
{
    struct json_object *v = NULL;
    return json_object_object_get_ex(o, name, &v) ? json_object_get_double(v) : fallback;
}

static const char *text_of(struct json_object *o, const char *name, const char *fallback)
{
    struct json_object *v = member(o, name, json_type_string);
    return v ? json_object_get_string(v) : fallback;
}

static enum meaning meaning_of(const char *word)
{
    return strcmp(word, "badInput") == 0   ? MEANS_BAD_INPUT
           : strcmp(word, "terminal") == 0 ? MEANS_TERMINAL
                                           : MEANS_RETRYABLE;
}

#define EX_DATAERR 65 /* of sysexits.h: the input was wrong */

static int32_t read_codes(struct settings *s, struct bp_err *err)
{
    static const char *const words[] = {"retryable", "terminal", "badInput"};
    struct json_object *o = member(s->json, "exitCodes", json_type_object);
    s->otherwise = meaning_of(text_of(o, "otherwise", "retryable"));
    for (int i = 0; i < 256; i++)
        s->codes[i] = s->otherwise;
    s->codes[EX_DATAERR] = MEANS_BAD_INPUT;
    uint8_t said[256] = {0};
    for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
        struct json_object *list = member(o, words[w], json_type_array);
        for (size_t i = 0; list && i < json_object_array_length(list); i++) {
            int64_t code = json_object_get_int64(json_object_array_get_idx(list, i)) & 0xff;
            if (said[code]++)
                return bp_error(err, BP_INVALID, "settings.exitCodes has %d twice: let it mean one thing", (int)code);
            s->codes[code] = meaning_of(words[w]);
        }
    }
    return BP_OK;
}

static int32_t read_pattern(struct settings *s, struct bp_err *err)
{
    char why[120];
    struct json_object *o = member(s->json, "progress", json_type_object);
    const char *pattern = text_of(o, "pattern", NULL);
    s->full = number(o, "full", 100);
    if (!pattern)
        return BP_OK;
    int rc = regcomp(&s->pattern, pattern, REG_EXTENDED);
    if (rc) {
        regerror(rc, &s->pattern, why, sizeof why);
        return bp_error(err, BP_INVALID, "settings.progress.pattern is no extended regular expression: %s", why);
    }
    s->has_pattern = 1;
    if (s->pattern.re_nsub < 1)
        return bp_error(err, BP_INVALID, "settings.progress.pattern has no group: put (...) around the number");
    return BP_OK;
}

int32_t settings_open(struct settings *s, const char *text, struct bp_err *err)
{
    memset(s, 0, sizeof *s);
    s->json = json_tokener_parse(text);
    s->command = member(s->json, "command", json_type_array);
    s->env = member(s->json, "env", json_type_object);
    if (!s->command || json_object_array_length(s->command) == 0)
        return bp_error(err, BP_INVALID, "settings.command is missing: give a list, [\"/opt/model/run\", \"{input}\"]");
    s->output = text_of(s->json, "output", NULL);
    s->reads_input = strcmp(text_of(s->json, "stdin", "none"), "input") == 0;
    s->prints_output = strcmp(text_of(s->json, "stdout", "lines"), "output") == 0;
    s->timeout_ms = (int64_t)(number(s->json, "timeoutSeconds", 0) * 1000);
    s->grace_ms = (int64_t)(number(s->json, "graceSeconds", 5) * 1000);
    s->log_lines = whole(s->json, "logLines", 1000);
    s->memory_bytes = whole(s->json, "memoryBytes", 0);
    s->cpu_s = whole(s->json, "cpuSeconds", 0);
    s->dashes = strcmp(text_of(s->json, "dashes", "refuse"), "allow") == 0;
    if (read_codes(s, err) < 0)
        return BP_INVALID;
    return read_pattern(s, err);
}

void settings_close(struct settings *s)
{
    if (s->has_pattern)
        regfree(&s->pattern);
    json_object_put(s->json);
    memset(s, 0, sizeof *s);
}
