/* SPDX-License-Identifier: Apache-2.0 */
/* bridge_text.c - the texts of the Redis bridge: its address, and the words it carries. */
#include "dispatch/bridge.h"

#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REDIS_PORT 6379
#define JOBS_MAX   1000000

static int copy(const char *from, size_t n, char *out, size_t size)
{
    if (n >= size)
        return 0;
    memcpy(out, from, n);
    out[n] = 0;
    return 1;
}

/* Percent-decoded, so that any password can be written. */
static int copy_decoded(const char *from, size_t n, char *out, size_t size)
{
    char text[1024];
    size_t got = 0;
    if (!copy(from, n, text, sizeof text))
        return 0;
    char *plain = evhttp_uridecode(text, 0, &got);
    int ok = plain && strlen(plain) == got && copy(plain, got, out, size);
    free(plain);
    return ok;
}

static int read_userinfo(const char *info, struct redis_place *out)
{
    const char *colon = strchr(info, ':');
    const char *user_end = colon ? colon : info + strlen(info);
    if (!copy_decoded(info, (size_t)(user_end - info), out->user, sizeof out->user))
        return 0;
    return !colon || copy_decoded(colon + 1, strlen(colon + 1), out->password, sizeof out->password);
}

static int read_db(const char *path, int *db)
{
    char *end;
    *db = -1;
    if (!path || !path[0] || strcmp(path, "/") == 0)
        return 1;
    long n = strtol(path + 1, &end, 10);
    *db = (int)n;
    return *end == 0 && path[1] >= '0' && path[1] <= '9' && n < 10000;
}

static int read_host(const char *host, struct redis_place *out)
{
    size_t n = host ? strlen(host) : 0;
    if (n > 2 && host[0] == '[' && host[n - 1] == ']') /* IPv6 */
        return copy(host + 1, n - 2, out->host, sizeof out->host);
    return n > 0 && copy(host, n, out->host, sizeof out->host);
}

int redis_place_read(const char *url, struct redis_place *out, struct bp_err *err)
{
    struct evhttp_uri *uri = evhttp_uri_parse(url);
    memset(out, 0, sizeof *out);
    const char *scheme = uri ? evhttp_uri_get_scheme(uri) : NULL;
    const char *info = uri ? evhttp_uri_get_userinfo(uri) : NULL;
    int port = uri ? evhttp_uri_get_port(uri) : 0;
    int ok = scheme && strcmp(scheme, "redis") == 0 && read_host(evhttp_uri_get_host(uri), out) &&
             (!info || read_userinfo(info, out)) && read_db(evhttp_uri_get_path(uri), &out->db) && port < 65536;
    out->port = port > 0 ? port : REDIS_PORT;
    if (uri)
        evhttp_uri_free(uri);
    return ok ? 0
              : err_set(err, BP_INVALID,
                        "bus.redis is no address of a Redis: write redis://[:PASSWORD@]HOST[:PORT][/DB], with special "
                        "characters of the password as %%XX");
}

int word_write(const struct word *w, char *out, size_t size)
{
    int n = snprintf(out, size, "%s %u %s", w->from, w->jobs, w->workflow);
    return n > 0 && (size_t)n < size;
}

int word_read(const char *text, size_t n, struct word *out)
{
    const char *space = memchr(text, ' ', n);
    const char *second = space ? memchr(space + 1, ' ', n - (size_t)(space + 1 - text)) : NULL;
    uint64_t jobs = 0;
    memset(out, 0, sizeof *out);
    if (!second || second == space + 1 || memchr(text, 0, n))
        return 0;
    for (const char *c = space + 1; c < second; c++) {
        if (*c < '0' || *c > '9' || jobs > JOBS_MAX)
            return 0;
        jobs = jobs * 10 + (uint64_t)(*c - '0');
    }
    out->jobs = (uint32_t)(jobs < JOBS_MAX ? jobs : JOBS_MAX);
    return copy(text, (size_t)(space - text), out->from, sizeof out->from) &&
           copy(second + 1, n - (size_t)(second + 1 - text), out->workflow, sizeof out->workflow);
}
