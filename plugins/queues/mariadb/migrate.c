/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "open.h"
#include "schema.h"
#include "server.h"

/* Connects; only looking makes no database. BP_NOTFOUND: there is none. */
static int32_t connect_for(struct store *s, int32_t mode)
{
    bool create = s->settings.create_database;
    s->settings.create_database = create && mode == BP_MIGRATE_APPLY;
    int32_t rc = conn_open(s);
    s->settings.create_database = create;
    return rc ? rc : server_check(s);
}

/* One database: the queue's own or a pool. */
static int32_t database(struct store *s, const struct schema_steps *steps, int32_t mode, struct json_object *databases)
{
    int before = 0;
    int32_t rc = connect_for(s, mode);
    struct schema c = store_schema(s, steps);
    if (rc == BP_NOTFOUND && s->settings.create_database)
        return schema_report(&c, mode, before, databases, &s->failure); /* all of it is pending */
    if (!rc && mode == BP_MIGRATE_APPLY)
        rc = schema_migrate(&c, &before, &s->failure);
    return rc ? rc : schema_report(&c, mode, before, databases, &s->failure);
}

/* Every pool, also after one that failed; the first failure counts. */
static int32_t all_pools(struct store *s, int32_t mode, struct json_object *report, struct json_object *databases)
{
    int32_t rc = BP_OK;
    bool any = false;
    for (uint32_t i = 1; i < s->pools.n; i++) {
        const struct pool *p = s->pools.list[i];
        if (!p->configured)
            continue;
        struct store l = {
            .magic = STORE_MAGIC, .self = s->self, .host = s->host, .settings = p->settings, .patient = true};
        any = true;
        if (database(&l, &schema_pools, mode, databases) && !rc) {
            s->failure = l.failure;
            rc = l.failure.rc;
        }
        store_close(&l);
    }
    if (!any)
        json_object_object_add(report, "message", json_object_new_string("no pools are configured"));
    return rc;
}

/* *text in the host's memory. */
static int32_t hand_over(struct store *s, struct json_object *report, char **text)
{
    const char *json = json_object_to_json_string_ext(report, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    if (!text)
        return BP_OK;
    *text = json ? s->host->alloc(strlen(json) + 1) : NULL;
    if (!*text)
        return store_nomem(s);
    strcpy(*text, json);
    return BP_OK;
}

/* On a connection that no timeout ends; apply() makes its own again. */
static int32_t look(struct store *s, const struct bp_migrate *what, char **text)
{
    struct json_object *report = json_object_new_object(), *databases = json_object_new_array();
    int32_t rc = BP_OK;
    json_object_object_add(report, "databases", databases);
    conn_close(s);
    s->patient = true;
    if (strcmp(what->target, "central") == 0)
        rc = database(s, &schema_central, what->mode, databases);
    else
        rc = all_pools(s, what->mode, report, databases);
    s->patient = false;
    conn_close(s);
    rc = rc ? rc : hand_over(s, report, text);
    json_object_put(report);
    return rc;
}

/* A pool that cannot be reached is no reason to wait: only its tenants do. One with an old schema is. */
static int32_t check(struct store *s)
{
    int32_t rc = s->db ? BP_OK : store_connect(s);
    rc = rc ? rc : pools_open(s);
    return rc ? s->failure.rc = rc == BP_NOMEM ? BP_NOMEM : BP_LATER : BP_OK;
}

int32_t store_migrate(void *inst, const struct bp_migrate *what, char **report, struct bp_err *err)
{
    struct store *s = inst;
    int32_t rc;
    if (report)
        *report = NULL;
    s->fault = FAULT_NONE;
    s->failure = (struct bp_err){0};
    if (what->mode == BP_MIGRATE_CHECK)
        rc = check(s);
    else if (!what->target || (strcmp(what->target, "central") != 0 && strcmp(what->target, "pools") != 0))
        rc = store_fail(s, BP_UNSUPPORTED, "there is nothing called \"%.40s\" to migrate: central or pools",
                        what->target ? what->target : "");
    else
        rc = look(s, what, report);
    if (rc) {
        *err = s->failure;
        err->rc = rc;
    }
    return rc;
}
