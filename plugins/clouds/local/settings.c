/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include "err.h"
#include "file.h"
#include <json-c/json.h>
#include <stddef.h>
#include <string.h>

enum kind { TEXT = 1, WORDS, NUMBER, INTEGER, TRUTH };

struct row {
    const char *name;
    enum kind kind;
    size_t offset;
    double fallback, min, max; /* of TEXT: greatest length is max */
    const char *text;
};

#define AT(member) offsetof(struct settings, member)

/* Defaults repeat those of manifest.json: a test holds both against each other. */
static const struct row rows[] = {
    {"bpd", TEXT, AT(bpd), 0, 0, PATH_DIR_MAX, ""},
    {"url", TEXT, AT(url), 0, 0, 1024, ""},
    {"pluginsDirs", WORDS, AT(plugins_dirs), 0, 0, 64, NULL},
    {"workerArgs", WORDS, AT(worker_args), 0, 0, 64, NULL},
    {"device", TEXT, AT(device), 0, 0, 16, "auto"},
    {"instanceTypes", WORDS, AT(instance_types), 0, 0, 64, "local"},
    {"zone", TEXT, AT(zone), 0, 0, 31, "local-a"},
    {"spot", TRUTH, AT(spot), 1, 0, 1, NULL},
    {"bootDelaySeconds", NUMBER, AT(boot_delay_s), 0.5, 0, 3600, NULL},
    {"noticeSeconds", NUMBER, AT(notice_s), 120, 0, 3600, NULL},
    {"terminateGraceSeconds", NUMBER, AT(terminate_grace_s), 30, 0, 3600, NULL},
    {"launchRetrySeconds", NUMBER, AT(launch_retry_s), 2, 0.01, 3600, NULL},
    {"endedReportSeconds", NUMBER, AT(ended_report_s), 60, 0, 86400, NULL},
    {"maxInstances", INTEGER, AT(max_instances), 64, 0, 10000, NULL},
    {"stopInstancesOnExit", TRUTH, AT(stop_on_exit), 1, 0, 1, NULL},
    {"stopGraceSeconds", NUMBER, AT(stop_grace_s), 10, 0, 3600, NULL},
    {"objectsDir", TEXT, AT(objects_dir), 0, 0, PATH_DIR_MAX, ""},
    {"maxObjectBytes", INTEGER, AT(max_object_bytes), 17179869184.0, 1, 1e15, NULL},
    {"minFreeBytes", INTEGER, AT(min_free_bytes), 67108864, 0, 1e15, NULL},
    {"metricsDays", INTEGER, AT(metrics_days), 14, 1, 3650, NULL},
    {"maxLogBytes", INTEGER, AT(max_log_bytes), 16777216, 1024, 1e12, NULL},
    {"logFiles", INTEGER, AT(log_files), 5, 1, 100, NULL},
    {"notifyDedupSeconds", NUMBER, AT(notify_dedup_s), 300, 0, 86400, NULL},
    {"notifyPerMinute", INTEGER, AT(notify_per_minute), 30, 1, 10000, NULL},
};

/* About the daemon; absent is empty. */
static const struct row about_rows[] = {
    {"url", TEXT, AT(url), 0, 0, 1024, ""},
    {"bpd", TEXT, AT(bpd), 0, 0, PATH_DIR_MAX, ""},
    {"plugins_dirs", WORDS, AT(plugins_dirs), 0, 0, 64, NULL},
    {"workflows_dir", TEXT, AT(workflows_dir), 0, 0, PATH_DIR_MAX + 256, ""},
    {"stage", TEXT, AT(stage), 0, 0, 31, "local"},
    {"state_dir", TEXT, AT(daemon_state_dir), 0, 0, PATH_DIR_MAX, ""},
    {"fleet_secret_file", TEXT, AT(fleet_secret_file), 0, 0, PATH_DIR_MAX + 256, ""},
    {"instance_id", TEXT, AT(instance_id), 0, 0, 255, ""},
};

static int read_text(const struct row *r, struct json_object *v, const char **out, struct bp_err *err)
{
    if (!v) {
        *out = r->text;
        return 0;
    }
    if (!json_object_is_type(v, json_type_string) || json_object_get_string_len(v) > (int)r->max)
        return err_set(err, BP_INVALID, "setting %s must be text of at most %d bytes", r->name, (int)r->max);
    *out = json_object_get_string(v);
    return 0;
}

static int is_words(struct json_object *v, size_t max)
{
    if (!json_object_is_type(v, json_type_array) || json_object_array_length(v) > max)
        return 0;
    for (size_t i = 0; i < json_object_array_length(v); i++)
        if (!json_object_is_type(json_object_array_get_idx(v, i), json_type_string))
            return 0;
    return 1;
}

/* An absent array becomes a member of `in`, so that everything has one owner. */
static int read_words(const struct row *r, struct json_object *in, struct json_object **out, struct bp_err *err)
{
    struct json_object *v = NULL;
    json_object_object_get_ex(in, r->name, &v);
    if (!v) {
        v = json_object_new_array();
        if (r->text)
            json_object_array_add(v, json_object_new_string(r->text));
        json_object_object_add(in, r->name, v);
    }
    if (!is_words(v, (size_t)r->max))
        return err_set(err, BP_INVALID, "setting %s must be an array of at most %d texts", r->name, (int)r->max);
    *out = v;
    return 0;
}

static int read_number(const struct row *r, struct json_object *v, double *out, struct bp_err *err)
{
    int ok = !v || json_object_is_type(v, json_type_int) ||
             (r->kind == NUMBER && json_object_is_type(v, json_type_double)) ||
             (r->kind == TRUTH && json_object_is_type(v, json_type_boolean));
    *out = v ? json_object_get_double(v) : r->fallback;
    if (v && r->kind == TRUTH)
        *out = json_object_get_boolean(v) ? 1 : 0;
    if (!ok || !(*out >= r->min && *out <= r->max))
        return err_set(err, BP_INVALID, "setting %s must be %s between %g and %g", r->name,
                       r->kind == NUMBER ? "a number" : "an integer", r->min, r->max);
    return 0;
}

static int read_row(struct settings *s, const struct row *r, struct json_object *in, struct bp_err *err)
{
    char *to = (char *)s + r->offset;
    struct json_object *v = NULL;
    double number = 0;
    json_object_object_get_ex(in, r->name, &v);
    if (r->kind == TEXT)
        return read_text(r, v, (const char **)(void *)to, err);
    if (r->kind == WORDS)
        return read_words(r, in, (struct json_object **)(void *)to, err);
    int rc = read_number(r, v, &number, err);
    if (rc < 0)
        return rc;
    if (r->kind == NUMBER)
        memcpy(to, &number, sizeof number);
    else if (r->kind == INTEGER)
        memcpy(to, &(int64_t){(int64_t)number}, sizeof(int64_t));
    else
        memcpy(to, &(int){number != 0}, sizeof(int));
    return 0;
}

static int read_about(struct settings *s, struct bp_err *err)
{
    struct settings own = *s;
    struct json_object *about = NULL;
    struct json_object *role = NULL;
    json_object_object_get_ex(s->json, "_bpd", &about);
    if (!json_object_is_type(about, json_type_object)) {
        about = json_object_new_object();
        json_object_object_add(s->json, "_bpd", about);
    }
    for (size_t i = 0; i < sizeof about_rows / sizeof about_rows[0]; i++) {
        int rc = read_row(s, &about_rows[i], about, err);
        if (rc < 0)
            return rc;
    }
    json_object_object_get_ex(about, "role", &role);
    s->in_worker = role && strcmp(json_object_get_string(role), "worker") == 0;
    /* What the operator set goes before what the daemon says of itself. */
    if (own.url[0])
        s->url = own.url;
    if (own.bpd[0])
        s->bpd = own.bpd;
    if (json_object_array_length(own.plugins_dirs))
        s->plugins_dirs = own.plugins_dirs;
    return 0;
}

int settings_open(struct settings *s, const char *text, struct bp_err *err)
{
    memset(s, 0, sizeof *s);
    s->json = text && text[0] ? json_tokener_parse(text) : json_object_new_object();
    int rc = 0;
    if (!json_object_is_type(s->json, json_type_object))
        rc = err_set(err, BP_INVALID, "the settings of plugin local are not a JSON object");
    for (size_t i = 0; rc == 0 && i < sizeof rows / sizeof rows[0]; i++)
        rc = read_row(s, &rows[i], s->json, err);
    if (rc == 0)
        rc = read_about(s, err);
    if (rc == 0 && strcmp(s->device, "auto") != 0 && strcmp(s->device, "cpu") != 0 && strcmp(s->device, "cuda") != 0)
        rc = err_set(err, BP_INVALID, "setting device is \"%s\"; it must be auto, cpu or cuda", s->device);
    if (rc < 0)
        settings_close(s);
    return rc;
}

void settings_close(struct settings *s)
{
    json_object_put(s->json);
    memset(s, 0, sizeof *s);
}
