/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics.c - facet bp.metrics/1: the last day of each metric in memory, and everything in daily files
 * <state>/metrics/<yyyy-mm-dd>.jsonl. After a restart the memory is filled from today's and yesterday's file when the
 * first reader comes.
 */
#include "err.h"
#include "local.h"
#include "log_file.h"
#include "metric_series.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAY_MS      86400000
#define FILE_BYTES  (64U << 20)
#define LINE_BYTES  512
#define NAME_LENGTH 16 /* yyyy-mm-dd.jsonl */

struct metrics {
    struct local *local;
    pthread_mutex_t lock;
    struct series_set *set;
    int64_t started_ms;
    int loaded;  /* 1: the files were read */
    int64_t day; /* day of the last sample written: on a new one old files go */
};

static void day_name(int64_t ms, char out[NAME_LENGTH + 1])
{
    char time[LOG_TIME_SIZE];
    log_time(ms, time);
    snprintf(out, NAME_LENGTH + 1, "%.10s.jsonl", time);
}

/* ---- writing ---- */

static void prune(const struct metrics *m, int64_t now)
{
    char folder[PATH_SIZE], path[PATH_SIZE], oldest[NAME_LENGTH + 1];
    day_name(now - m->local->settings.metrics_days * DAY_MS, oldest);
    path_format(folder, "%s/metrics", m->local->dir);
    DIR *d = opendir(folder);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        if (strlen(e->d_name) != NAME_LENGTH || strcmp(e->d_name + 10, ".jsonl") != 0 || strcmp(e->d_name, oldest) >= 0)
            continue;
        path_format(path, "%s/%s", folder, e->d_name);
        unlink(path);
    }
    closedir(d);
}

/* One line of the file into out (LINE_BYTES at least); returns its length. */
static size_t line_of(const struct bp_metric *s, char *out)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "at_ms", json_object_new_int64(s->at_ms));
    json_object_object_add(o, "name", json_object_new_string(s->name));
    json_object_object_add(o, "workflow", json_object_new_string(s->workflow));
    json_object_object_add(o, "stage", json_object_new_string(s->stage));
    json_object_object_add(o, "unit", json_object_new_string(s->unit));
    json_object_object_add(o, "value", json_object_new_double(s->value));
    int n = snprintf(out, LINE_BYTES, "%s\n",
                     json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
    return n > 0 && n < LINE_BYTES ? (size_t)n : 0;
}

static int append(struct metrics *m, const struct bp_metric *samples, uint32_t n, int64_t now, struct bp_err *err)
{
    char path[PATH_SIZE], day[NAME_LENGTH + 1];
    char *text = malloc((size_t)n * LINE_BYTES + 1);
    if (!text)
        return err_set(err, BP_NOMEM, "no memory to write %u samples", n);
    size_t length = 0;
    for (uint32_t i = 0; i < n; i++)
        length += line_of(&samples[i], text + length);
    day_name(now, day);
    path_format(path, "%s/metrics/%s", m->local->dir, day);
    int rc = log_file_append(path, text, length, INT64_MAX, 1, err);
    free(text);
    if (rc == 0 && now / DAY_MS != m->day) {
        m->day = now / DAY_MS;
        prune(m, now);
    }
    return rc;
}

static int check(const struct bp_metric *s, struct bp_err *err)
{
    int ok = s->name[0] && memchr(s->name, 0, sizeof s->name) && memchr(s->workflow, 0, sizeof s->workflow) &&
             memchr(s->stage, 0, sizeof s->stage) && memchr(s->unit, 0, sizeof s->unit) && s->value - s->value == 0;
    return ok ? 0 : err_set(err, BP_INVALID, "a sample needs a name, terminated texts and a finite value");
}

/* In memory even when the file cannot be written: readers and the page go on with a full disk. */
static int32_t put(void *inst, const struct bp_metric *samples, uint32_t n, struct bp_err *err)
{
    struct metrics *m = ((struct local *)inst)->metrics;
    for (uint32_t i = 0; i < n; i++) {
        int bad = check(&samples[i], err);
        if (bad < 0)
            return bad;
    }
    if (!n)
        return 0;
    int64_t now = LOCAL_NOW(m->local);
    pthread_mutex_lock(&m->lock);
    int rc = 0;
    for (uint32_t i = 0; i < n && rc == 0; i++)
        rc = series_add(m->set, &samples[i], err);
    int file_rc = append(m, samples, n, now, rc == 0 ? err : NULL);
    pthread_mutex_unlock(&m->lock);
    return rc < 0 ? rc : file_rc;
}

/* ---- reading ---- */

static void copy_member(struct json_object *o, const char *name, char *out, size_t n)
{
    struct json_object *v = NULL;
    json_object_object_get_ex(o, name, &v);
    snprintf(out, n, "%s", v ? json_object_get_string(v) : "");
}

static int parse_line(const char *line, struct bp_metric *out)
{
    struct json_object *o = json_tokener_parse(line), *v = NULL;
    memset(out, 0, sizeof *out);
    if (json_object_is_type(o, json_type_object)) {
        copy_member(o, "name", out->name, sizeof out->name);
        copy_member(o, "workflow", out->workflow, sizeof out->workflow);
        copy_member(o, "stage", out->stage, sizeof out->stage);
        copy_member(o, "unit", out->unit, sizeof out->unit);
        out->at_ms = json_object_object_get_ex(o, "at_ms", &v) ? json_object_get_int64(v) : 0;
        out->value = json_object_object_get_ex(o, "value", &v) ? json_object_get_double(v) : 0;
    }
    json_object_put(o);
    return out->name[0] && out->at_ms > 0 ? 0 : -1;
}

static void load_file(struct metrics *m, struct series_set *into, int64_t day_ms)
{
    char path[PATH_SIZE], day[NAME_LENGTH + 1];
    char *text, *save = NULL;
    struct bp_metric s;
    day_name(day_ms, day);
    path_format(path, "%s/metrics/%s", m->local->dir, day);
    if (file_read(path, FILE_BYTES, &text, NULL) < 0)
        return;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        if (parse_line(line, &s) == 0 && s.at_ms >= m->started_ms - DAY_MS)
            series_add(into, &s, NULL);
    free(text);
}

/* The files hold everything that is in memory too, so a set read from them replaces it. Under the lock. */
static void load(struct metrics *m)
{
    int64_t now = LOCAL_NOW(m->local);
    struct series_set *fresh = series_set_new();
    m->loaded = 1;
    if (!fresh)
        return;
    load_file(m, fresh, now - DAY_MS);
    load_file(m, fresh, now);
    series_merge(fresh, m->set);
    series_set_free(m->set);
    m->set = fresh;
}

static int32_t get(void *inst, const char *name, const char *workflow, int64_t since_ms, struct bp_metric *out,
                   uint32_t *n, struct bp_err *err)
{
    struct metrics *m = ((struct local *)inst)->metrics;
    if (!name || !workflow)
        return err_set(err, BP_INVALID, "samples are asked for by metric and workflow");
    pthread_mutex_lock(&m->lock);
    if (!m->loaded)
        load(m);
    *n = series_read(m->set, name, workflow, since_ms, out, *n);
    pthread_mutex_unlock(&m->lock);
    return 0;
}

/* ---- life ---- */

struct metrics *metrics_open(struct local *l, struct bp_err *err)
{
    char path[PATH_SIZE];
    path_format(path, "%s/metrics", l->dir);
    if (file_make_dirs(path, err) < 0)
        return NULL;
    struct metrics *m = calloc(1, sizeof *m);
    if (m)
        m->set = series_set_new();
    if (!m || !m->set) {
        free(m);
        err_set(err, BP_NOMEM, "no memory for metrics");
        return NULL;
    }
    m->local = l;
    m->started_ms = LOCAL_NOW(l);
    pthread_mutex_init(&m->lock, NULL);
    return m;
}

void metrics_close(struct metrics *m)
{
    if (!m)
        return;
    pthread_mutex_destroy(&m->lock);
    series_set_free(m->set);
    free(m);
}

const struct bp_metrics metrics_facet = {.size = sizeof(struct bp_metrics), .put = put, .get = get};
