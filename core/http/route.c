/* SPDX-License-Identifier: Apache-2.0 */
/* route.c - the one table of what is served, and how a path finds its row. */
#include "http/door.h"

#include <ctype.h>
#include <string.h>

#define JSON 1

const struct route routes[] = {
    {METHOD_POST, "/api/worker/poll", AUTH_WORKER, JSON, route_worker_poll},
    {METHOD_POST, "/api/worker/complete", AUTH_WORKER, JSON, route_worker_complete},
    {METHOD_POST, "/api/jobs", AUTH_TENANT, JSON, tenant_submit},
    {METHOD_POST, "/api/worker/heartbeat", AUTH_WORKER, JSON, route_worker_heartbeat},
    {METHOD_POST, "/api/worker/progress", AUTH_WORKER, JSON, route_worker_progress},
    {METHOD_POST, "/api/worker/register", AUTH_FLEET, JSON, route_worker_register},
    {METHOD_POST, "/api/worker/fail", AUTH_WORKER, JSON, route_worker_fail},
    {METHOD_POST, "/api/worker/requeue", AUTH_WORKER, JSON, route_worker_requeue},
    {METHOD_POST, "/api/worker/deregister", AUTH_WORKER, JSON, route_worker_deregister},
    {METHOD_POST, "/api/worker/assets", AUTH_WORKER, JSON, route_worker_assets},
    {METHOD_GET, "/api/jobs", AUTH_TENANT, 0, tenant_jobs},
    {METHOD_GET, "/api/jobs/{id}", AUTH_TENANT, 0, tenant_job},
    {METHOD_DELETE, "/api/jobs/{id}", AUTH_TENANT, 0, tenant_cancel},
    {METHOD_POST, "/api/jobs/{id}/retry", AUTH_TENANT, 0, tenant_retry},
    {METHOD_GET, "/api/jobs/{id}/events", AUTH_TENANT, 0, tenant_events},
    {METHOD_GET, "/api/jobs/{id}/explain", AUTH_TENANT, 0, tenant_explain},
    {METHOD_POST, "/api/uploads", AUTH_TENANT, JSON, tenant_upload},
    {METHOD_GET, "/api/workflows", AUTH_TENANT, 0, tenant_workflows},
    {METHOD_GET, "/api/effects", AUTH_TENANT, 0, tenant_effects},
    {METHOD_GET, "/api/admin/session", AUTH_OPERATOR, 0, operator_session},
    {METHOD_GET, "/api/admin/state", AUTH_OPERATOR, 0, operator_state},
    {METHOD_GET, "/api/admin/events", AUTH_OPERATOR, 0, operator_events},
    {METHOD_GET, "/api/admin/metrics", AUTH_OPERATOR, 0, operator_metrics},
    {METHOD_GET, "/up", AUTH_NONE, 0, health_up},
    {METHOD_GET, "/healthz", AUTH_NONE, 0, health_alive},
    {METHOD_GET, "/readyz", AUTH_NONE, 0, health_ready},
    {METHOD_GET, "/metrics", AUTH_NONE, 0, metrics_show},
    {METHOD_GET, "/objects/*", AUTH_NONE, 0, object_get},
    {METHOD_PUT, "/objects/*", AUTH_NONE, 0, NULL}, /* upload_begin() has it before evhttp; here for Allow and counts */
    {METHOD_GET, "/*", AUTH_NONE, 0, page_get},
};
const size_t n_routes = sizeof(routes) / sizeof(routes[0]);

/* A positive decimal number without leading zeros at *p, which moves on; 0 when it is none. */
static int64_t read_id(const char **p, const char *end)
{
    const char *s = *p;
    int64_t id = 0;

    while (*p < end && isdigit((unsigned char)**p) && *p - s < 18)
        id = id * 10 + (*(*p)++ - '0');
    return *p == s || *s == '0' ? 0 : id;
}

static int matches(const char *pattern, const char *p, size_t n, int64_t *id)
{
    const char *end = p + n;

    for (; *pattern; pattern++) {
        if (*pattern == '*')
            return 1;
        if (*pattern == '{') {
            *id = read_id(&p, end);
            if (*id == 0)
                return 0;
            pattern = strchr(pattern, '}');
        } else if (p == end || *p++ != *pattern) {
            return 0;
        }
    }
    return p == end;
}

const struct route *route_find(enum method m, const char *path, size_t n, int64_t *id, unsigned *allow)
{
    *allow = 0;
    for (size_t i = 0; i < n_routes; i++) {
        const struct route *r = &routes[i];
        if (!matches(r->pattern, path, n, id) || (r->handle == page_get && !page_has(path, n)))
            continue;
        if (r->method == m && r->handle)
            return r;
        *allow |= 1U << r->method;
    }
    return NULL;
}

size_t route_index(const struct route *r)
{
    return r ? (size_t)(r - routes) : n_routes;
}
