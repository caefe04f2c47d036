/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs one job of the comfyui workflow without daemon, worker and sandbox: comfyui_driver JOB.json OUTPUT. The job is
 * {"settings": {}, "settings_dir": "", "params": {}, "inputs": [{"path", "mime", "name"}], "limit_ms": 0, "stop_at":
 * ""}. Each line on stdout is a JSON list: ["progress", fraction, text], ["log", level, text], and last ["result", rc,
 * text]. It is told to stop once the progress text contains stop_at.
 */
#include "json.h"

#include <bp/job.h>
#include <bp/plugin.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

extern const struct bp_plugin bp_plugin_v1;

static const char *stop_at = "";

static void say(const char *what, struct json_object *number, const char *text)
{
    struct json_object *line = json_object_new_array();
    json_object_array_add(line, json_object_new_string(what));
    json_object_array_add(line, number);
    json_object_array_add(line, json_object_new_string(text));
    puts(json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN));
    fflush(stdout);
    json_object_put(line);
}

static int32_t progress(void *ctx, double fraction, const char *text)
{
    char *last = ctx;
    if (strncmp(last, text, 199) != 0)
        say("progress", json_object_new_double(fraction), text);
    snprintf(last, 200, "%s", text);
    return *stop_at && strstr(text, stop_at) ? BP_STOPPED : BP_OK;
}

static void log_line(void *ctx, int32_t level, const char *text)
{
    (void)ctx;
    say("log", json_object_new_int(level), text);
}

static int64_t deadline(struct json_object *o)
{
    struct timespec t;
    int64_t limit = json_object_get_int64(json_member(o, "limit_ms"));
    clock_gettime(CLOCK_REALTIME, &t);
    return limit ? (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + limit : 0;
}

static uint32_t read_inputs(struct json_object *list, struct bp_job_input *in, uint32_t most)
{
    uint32_t n = 0;
    for (; list && n < json_object_array_length(list) && n < most; n++) {
        struct json_object *o = json_object_array_get_idx(list, n);
        in[n] = (struct bp_job_input){json_str(o, "path", ""), json_str(o, "mime", ""), json_str(o, "name", "")};
    }
    return n;
}

int main(int argc, char **argv)
{
    char last[200] = "";
    struct bp_job_input inputs[8];
    struct bp_err err = {0};
    void *inst, *state;
    struct json_object *o = argc == 3 ? json_object_from_file(argv[1]) : NULL;
    if (!o)
        return 2;
    stop_at = json_str(o, "stop_at", "");
    struct bp_job job = {.size = sizeof job,
                         .n_inputs = read_inputs(json_member(o, "inputs"), inputs, 8),
                         .id = 7,
                         .attempt = 1,
                         .deadline_ms = deadline(o),
                         .params = json_object_to_json_string(json_member(o, "params")),
                         .inputs = inputs,
                         .output_path = argv[2],
                         .temp_dir = ".",
                         .ctx = last,
                         .progress = progress,
                         .log = log_line,
                         .slug = "driven",
                         .settings = json_object_to_json_string(json_member(o, "settings")),
                         .settings_dir = json_str(o, "settings_dir", "")};
    bp_plugin_v1.start(NULL, NULL, &inst, &err);
    const struct bp_job_facet *facet = bp_plugin_v1.facet(inst, BP_JOB_FACET);
    int32_t rc = facet->open(inst, NULL, &state, &err);
    if (rc == BP_OK)
        rc = facet->run(state, &job, &err);
    say("result", json_object_new_int(rc), rc < 0 ? err.text : "");
    facet->close(state);
    bp_plugin_v1.stop(inst);
    json_object_put(o);
    return 0;
}
