/* SPDX-License-Identifier: Apache-2.0 */
/* notify.c - facet bp.notify/1: a line in the daemon's log and in <state>/notifications.jsonl, never twice in a row. */
#include "err.h"
#include "local.h"
#include "log_file.h"

#include <json-c/json.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS      256 /* keys remembered; beyond that the oldest is forgotten */
#define KEY_SIZE  128
#define MINUTE_MS 60000

struct sent {
    char key[KEY_SIZE];
    int64_t at_ms;
};

struct notify {
    struct local *local;
    pthread_mutex_t lock;
    struct sent keys[KEYS]; /* at_ms 0: free */
    int64_t minute_ms;      /* when the counted minute began */
    int64_t in_minute;
};

/* The entry of key, else the one to take for it. */
static struct sent *find(struct notify *n, const char *key)
{
    struct sent *oldest = &n->keys[0];
    for (size_t i = 0; i < KEYS; i++) {
        if (n->keys[i].at_ms && strcmp(n->keys[i].key, key) == 0)
            return &n->keys[i];
        if (n->keys[i].at_ms < oldest->at_ms)
            oldest = &n->keys[i];
    }
    oldest->at_ms = 0;
    return oldest;
}

static int is_repeated(const struct notify *n, const struct sent *s, int64_t now)
{
    return s && s->at_ms && (double)(now - s->at_ms) < n->local->settings.notify_dedup_s * 1000;
}

static int take_turn(struct notify *n, int64_t now, struct bp_err *err)
{
    if (now - n->minute_ms >= MINUTE_MS || now < n->minute_ms) {
        n->minute_ms = now;
        n->in_minute = 0;
    }
    if (n->in_minute >= n->local->settings.notify_per_minute)
        return err_set(err, BP_LATER, "%lld notifications went out this minute (notifyPerMinute); try again later",
                       (long long)n->in_minute);
    n->in_minute++;
    return 0;
}

static int append(struct notify *n, int64_t now, const char *subject, const char *text, const char *key,
                  struct bp_err *err)
{
    struct local *l = n->local;
    char path[PATH_SIZE], time[LOG_TIME_SIZE];
    struct json_object *o = json_object_new_object();
    log_time(now, time);
    path_format(path, "%s/notifications.jsonl", l->dir);
    json_object_object_add(o, "at", json_object_new_string(time));
    json_object_object_add(o, "at_ms", json_object_new_int64(now));
    json_object_object_add(o, "subject", json_object_new_string(subject));
    json_object_object_add(o, "text", json_object_new_string(text));
    json_object_object_add(o, "key", json_object_new_string(key));
    json_object_object_add(o, "stage", json_object_new_string(l->settings.stage));
    size_t length = strlen(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
    char *line = malloc(length + 2);
    int rc = line ? 0 : err_set(err, BP_NOMEM, "no memory to notify");
    if (line) {
        snprintf(line, length + 2, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
        rc = log_file_append(path, line, length + 1, l->settings.max_log_bytes, l->settings.log_files, err);
    }
    free(line);
    json_object_put(o);
    return rc;
}

static int send_locked(struct notify *n, const char *subject, const char *text, const char *key, struct bp_err *err)
{
    int64_t now = LOCAL_NOW(n->local);
    struct sent *s = key[0] ? find(n, key) : NULL;
    if (is_repeated(n, s, now))
        return 0;
    int rc = take_turn(n, now, err);
    if (rc < 0 || (rc = append(n, now, subject, text, key, err)) < 0)
        return rc;
    if (s) {
        snprintf(s->key, sizeof s->key, "%s", key);
        s->at_ms = now;
    }
    LOCAL_LOG(n->local, BP_LOG_WARN, "notification: %s: %s", subject, text);
    return 0;
}

static int32_t send(void *inst, const char *subject, const char *text, const char *dedup_key, struct bp_err *err)
{
    struct notify *n = ((struct local *)inst)->notify;
    const char *key = dedup_key ? dedup_key : "";
    if (!subject || !subject[0] || strlen(key) >= KEY_SIZE)
        return err_set(err, BP_INVALID, "a notification needs a subject, and a key of at most %d bytes", KEY_SIZE - 1);
    pthread_mutex_lock(&n->lock);
    int rc = send_locked(n, subject, text ? text : "", key, err);
    pthread_mutex_unlock(&n->lock);
    return rc;
}

struct notify *notify_open(struct local *l, struct bp_err *err)
{
    struct notify *n = calloc(1, sizeof *n);
    if (!n) {
        err_set(err, BP_NOMEM, "no memory for notifications");
        return NULL;
    }
    n->local = l;
    pthread_mutex_init(&n->lock, NULL);
    return n;
}

void notify_close(struct notify *n)
{
    if (n)
        pthread_mutex_destroy(&n->lock);
    free(n);
}

const struct bp_notify notify_facet = {.size = sizeof(struct bp_notify), .send = send};
