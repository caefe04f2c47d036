/* SPDX-License-Identifier: Apache-2.0 */
/* canary_record.c - what is known of a canary, kept over restarts. */
#include "dispatch/canary_priv.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ENDING ".json"

static void put_numbers(struct json_object *o, const struct canary *c)
{
    json_put_num(o, "percent", c->limits.percent);
    json_put_int(o, "jobs", c->limits.jobs);
    json_put_int(o, "failures", c->limits.failures);
    json_put_num(o, "tolerance", c->limits.tolerance);
    json_put_num(o, "sound_tolerance", c->limits.sound_tolerance);
    json_put_num(o, "slowest", c->limits.slowest);
    json_put_int(o, "good", c->counts.good);
    json_put_int(o, "bad", c->counts.bad);
    json_put_int(o, "absent", c->counts.absent);
    json_put_int(o, "dropped", c->counts.dropped);
    json_put_int(o, "timed", c->counts.timed);
    json_put_int(o, "old_ms", c->counts.old_ms);
    json_put_int(o, "new_ms", c->counts.new_ms);
    json_put_num(o, "difference", c->counts.worst);
    json_put_num(o, "sound", c->counts.worst_sound);
    json_put_int(o, "marked", c->marked);
    json_put_int(o, "started_ms", c->started_ms);
    json_put_int(o, "ended_ms", c->ended_ms);
}

void canary_save(const struct canaries *all, const struct canary *c)
{
    char dir[PATH_MAX], path[PATH_MAX + 80], temp[PATH_MAX + 88];
    struct json_object *o = json_object_new_object();
    snprintf(dir, sizeof dir, "%s/canary", host_state_path(all->d->host));
    snprintf(path, sizeof path, "%s/%s" ENDING, dir, c->slug);
    snprintf(temp, sizeof temp, "%s.new", path);
    json_put_str(o, "workflow", c->slug);
    json_put_str(o, "plugin", c->plugin);
    json_put_str(o, "version", c->version);
    json_put_str(o, "from_version", c->from_version);
    json_put_str(o, "who", c->who);
    json_put_str(o, "sha256", c->sha);
    json_put_str(o, "base", c->base);
    json_put_str(o, "state", canary_state_name(c->state));
    json_put_str(o, "why", c->why);
    put_numbers(o, c);
    json_object_object_add(o, "trials", json_object_get(c->trials));
    if ((mkdir(dir, 0700) < 0 && errno != EEXIST) || json_object_to_file_ext(temp, o, JSON_C_TO_STRING_PRETTY) < 0 ||
        rename(temp, path) < 0)
        log_warn(LOG_DISPATCH, "%s: its canary is not kept over a restart: cannot write %s: %s", c->slug, path,
                 strerror(errno));
    json_object_put(o);
}

static void take_text(struct json_object *o, const char *key, char *out, size_t n)
{
    snprintf(out, n, "%s", json_str(o, key, ""));
}

static enum canary_state state_of(const char *name)
{
    int s = CANARY_STARTING;
    while (s < CANARY_ABORTED && strcmp(canary_state_name((enum canary_state)s), name) != 0)
        s++;
    return (enum canary_state)s;
}

static void take(struct canaries *all, struct json_object *o)
{
    const char *slug = json_str(o, "workflow", NULL);
    struct canary *c = slug && strlen(slug) < sizeof c->slug ? canary_make(all, slug) : NULL;
    struct json_object *trials = json_member(o, "trials");
    if (!c)
        return;
    take_text(o, "plugin", c->plugin, sizeof c->plugin);
    take_text(o, "version", c->version, sizeof c->version);
    take_text(o, "from_version", c->from_version, sizeof c->from_version);
    take_text(o, "who", c->who, sizeof c->who);
    take_text(o, "sha256", c->sha, sizeof c->sha);
    take_text(o, "base", c->base, sizeof c->base);
    take_text(o, "why", c->why, sizeof c->why);
    c->state = state_of(json_str(o, "state", ""));
    c->limits = (struct canary_limits){.percent = json_num(o, "percent", 10),
                                       .jobs = json_int(o, "jobs", 20),
                                       .failures = json_int(o, "failures", 1),
                                       .tolerance = json_num(o, "tolerance", 0),
                                       .sound_tolerance = json_num(o, "sound_tolerance", 0.25),
                                       .slowest = json_num(o, "slowest", 1.5)};
    c->counts = (struct canary_counts){.good = json_int(o, "good", 0),
                                       .bad = json_int(o, "bad", 0),
                                       .absent = json_int(o, "absent", 0),
                                       .dropped = json_int(o, "dropped", 0),
                                       .timed = json_int(o, "timed", 0),
                                       .old_ms = json_int(o, "old_ms", 0),
                                       .new_ms = json_int(o, "new_ms", 0),
                                       .worst = json_num(o, "difference", 0),
                                       .worst_sound = json_num(o, "sound", 0)};
    c->marked = json_int(o, "marked", 0);
    c->started_ms = json_int(o, "started_ms", 0);
    c->ended_ms = json_int(o, "ended_ms", 0);
    if (trials && json_object_is_type(trials, json_type_array)) {
        json_object_put(c->trials);
        c->trials = json_object_get(trials);
    }
}

void canary_load(struct canaries *all)
{
    char path[PATH_MAX + 300];
    struct dirent *e;
    snprintf(path, sizeof path, "%s/canary", host_state_path(all->d->host));
    DIR *d = opendir(path);
    size_t n = strlen(path), end = strlen(ENDING);
    while (d && (e = readdir(d))) {
        size_t len = strlen(e->d_name);
        if (e->d_name[0] == '.' || len <= end || strcmp(e->d_name + len - end, ENDING) != 0)
            continue;
        snprintf(path + n, sizeof path - n, "/%s", e->d_name);
        struct json_object *o = json_object_from_file(path);
        if (o)
            take(all, o);
        else
            log_warn(LOG_DISPATCH, "%s cannot be read: its canary is forgotten", path);
        json_object_put(o);
    }
    if (d)
        closedir(d);
}
