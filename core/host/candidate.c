/* SPDX-License-Identifier: Apache-2.0 */
#include "host/candidate.h"
#include "log/err.h"
#include "log/log.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A candidate and what belongs to it; or, in a worker, a file that cannot be one, kept so that this is said once. */
struct tried {
    struct candidate view; /* its strings are those below */
    struct tried *next;
    struct manifest *manifest; /* NULL: it cannot be tried */
    char *copy, *sha, *signature;
    char *path; /* the file in a watched directory it came from; "": an operator named it */
    struct fingerprint print;
};

/* One vetting on its way through the files actor. Everything in it is its own. */
struct trying {
    struct host *host;
    char *path, *copies, *config, *runner; /* runner: to probe it with, NULL: it is not probed */
    char *kept;                            /* where it is kept for the next start, NULL: it is not */
    char *plugin;                          /* whose candidate it must be; NULL: whatever it says */
    char *found;                           /* as struct tried's path */
    struct fingerprint print;
    struct signers *signers;
    int64_t max_bytes, limit_ms;
    struct vetted out;
};

/* Who waits for it. Outlives a request that took too long. */
struct waiter {
    struct host *host;
    struct outcome outcome;
};

int candidate_is_name(const char *path)
{
    size_t n = strlen(path), end = strlen(CANDIDATE_ENDING);
    return n > end && strcmp(path + n - end, CANDIDATE_ENDING) == 0;
}

static struct tried *find(struct host *h, const char *plugin)
{
    for (struct tried *t = h->tried; t; t = t->next) {
        if (t->manifest && strcmp(t->view.plugin, plugin) == 0)
            return t;
    }
    return NULL;
}

static struct tried *find_path(struct host *h, const char *path)
{
    for (struct tried *t = h->tried; t; t = t->next) {
        if (*path && strcmp(t->path, path) == 0)
            return t;
    }
    return NULL;
}

const struct candidate *host_candidate(struct host *h, const char *plugin)
{
    ASSERT_HOST(h);
    const struct tried *t = find(h, plugin);
    return t ? &t->view : NULL;
}

static void tried_free(struct host *h, struct tried *t)
{
    struct tried **at = &h->tried;
    while (*at && *at != t)
        at = &(*at)->next;
    if (*at)
        *at = t->next;
    if (t->copy)
        tidy_later(h, t->copy);
    manifest_free(t->manifest);
    free(t->copy);
    free(t->sha);
    free(t->signature);
    free(t->path);
    free(t);
}

/* ---- links to it ---- */

static void kept_path(const struct host *h, const char *plugin, char *out, size_t n)
{
    snprintf(out, n, "%s/canary/%s.so", h->state_dir, plugin);
}

static void shown_path(const struct host *h, const char *plugin, char *out, size_t n)
{
    snprintf(out, n, "%s/serving/%s" CANDIDATE_ENDING, h->state_dir, plugin);
}

static int link_over(const char *from, const char *to)
{
    char temp[PATH_MAX];
    if (snprintf(temp, sizeof(temp), "%s.new", to) >= (int)sizeof(temp))
        return -1;
    unlink(temp);
    if (link(from, temp) < 0)
        return -1;
    int rc = rename(temp, to);
    unlink(temp); /* rename() between two links to one file removes neither */
    return rc;
}

static int signature_keep(const char *signature, const char *kept)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s" SIGNATURE_ENDING, kept);
    FILE *f = signature ? fopen(path, "we") : NULL;
    if (!signature)
        return unlink(path) == 0 || errno == ENOENT ? 0 : -1;
    int bad = !f || fputs(signature, f) < 0;
    return (f && fclose(f) != 0) || bad ? -1 : 0;
}

/* For the next start of the daemon. Not a link to the private copy, whose times change when it is found again. */
static int keep(const struct trying *t, struct bp_err *err)
{
    char dir[PATH_MAX];
    if (!t->kept || strcmp(t->kept, t->path) == 0)
        return BP_OK;
    snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(t->kept, '/') - t->kept), t->kept);
    int rc = dir_make(dir, err);
    if (rc == BP_OK)
        rc = file_put(t->out.copy.path, t->kept, err);
    if (rc == BP_OK && signature_keep(t->out.signature, t->kept) < 0)
        rc = err_set(err, BP_IO, "cannot keep its signature beside %.160s: %s", t->kept, strerror(errno));
    return rc;
}

/* Workers on this machine see it. */
static int show(struct host *h, const struct tried *t, struct bp_err *err)
{
    char shown[PATH_MAX];
    shown_path(h, t->view.plugin, shown, sizeof(shown));
    if (link_over(t->copy, shown) == 0)
        return BP_OK;
    return err_set(err, BP_IO, "cannot show the candidate to workers at %.160s: %s", shown, strerror(errno));
}

void host_candidate_drop(struct host *h, const char *plugin)
{
    char path[PATH_MAX];
    ASSERT_HOST(h);
    struct tried *t = find(h, plugin);
    if (t)
        tried_free(h, t);
    tidy(h);
    shown_path(h, plugin, path, sizeof(path));
    unlink(path);
    kept_path(h, plugin, path, sizeof(path));
    unlink(path);
    snprintf(path + strlen(path), sizeof(path) - strlen(path), SIGNATURE_ENDING);
    unlink(path);
}

/* ---- taking one in ---- */

static int trying_run(const void *table, void *inst, void *args, struct bp_err *err)
{
    struct trying *t = args;
    (void)table, (void)inst;
    struct vet_spec spec = {.path = t->path,
                            .copies = t->copies,
                            .plugin_config = t->config,
                            .max_bytes = t->max_bytes,
                            .signers = t->signers};
    int rc = vet_file(&spec, &t->out, err);
    if (rc == BP_OK && t->runner)
        rc = probe_wait(t->runner, t->out.copy.path, t->limit_ms, err);
    return rc == BP_OK ? keep(t, err) : rc;
}

static void trying_free(void *args)
{
    struct trying *t = args;
    vetted_clear(&t->out);
    free(t->path);
    free(t->copies);
    free(t->config);
    free(t->runner);
    free(t->kept);
    free(t->plugin);
    free(t->found);
    free(t->signers);
    free(t);
}

/* Jobs come with params that the serving version's schema completed: one that it does not know would be missing. */
static int params_fit(struct json_object *now, struct json_object *then, struct bp_err *err)
{
    struct json_object *known = json_member(now, "properties"), *all = json_member(then, "properties"), *same;
    if (!all || !json_object_is_type(all, json_type_object))
        return BP_OK;
    json_object_object_foreach(all, name, schema)
    {
        (void)schema;
        if (!known || !json_object_object_get_ex(known, name, &same))
            return err_set(
                err, BP_CONFLICT,
                "it has a param \"%.64s\" that the version that serves does not know, so no job brings it; put "
                "this version in place without a canary",
                name);
    }
    return BP_OK;
}

static int fits(const struct trying *t, struct bp_err *err)
{
    const struct manifest *m = t->out.manifest;
    if (m->kind != KIND_WORKFLOW)
        return err_set(err, BP_INVALID, "it is a %s plugin; only workflows can be tried on jobs", kind_name(m->kind));
    if (!t->plugin)
        return BP_OK;
    const struct plugin *p = plugin_find(t->host, t->plugin);
    const struct generation *g = p ? p->current : NULL;
    if (strcmp(m->name, t->plugin) != 0)
        return err_set(err, BP_CONFLICT, "its manifest says it is the plugin \"%.64s\", not \"%.64s\"", m->name,
                       t->plugin);
    if (!g || g->state != RUNNING)
        return err_set(err, BP_CONFLICT, "no version of %.64s serves that it could be compared with", t->plugin);
    if (strcmp(g->sha, t->out.copy.sha) == 0)
        return err_set(err, BP_CONFLICT, "it is the very file that serves (version %.64s)", m->version);
    if (g->manifest->is_template != m->is_template ||
        (m->slug && g->manifest->slug && strcmp(m->slug, g->manifest->slug) != 0))
        return err_set(err, BP_CONFLICT, "it serves other workflows than the version in place");
    return params_fit(json_member(g->manifest->json, "params"), json_member(m->json, "params"), err);
}

static struct tried *tried_new(struct host *h, struct trying *t, int fine)
{
    struct tried *n = calloc(1, sizeof(*n));
    assert(n);
    n->path = strdup(t->found ? t->found : "");
    assert(n->path);
    n->print = t->print;
    if (find_path(h, n->path))
        tried_free(h, find_path(h, n->path));
    n->next = h->tried;
    h->tried = n;
    if (!fine)
        return n;
    if (find(h, t->out.manifest->name))
        tried_free(h, find(h, t->out.manifest->name));
    n->manifest = t->out.manifest;
    n->signature = t->out.signature;
    t->out.manifest = NULL;
    t->out.signature = NULL;
    n->copy = strdup(t->out.copy.path);
    n->sha = strdup(t->out.copy.sha);
    assert(n->copy && n->sha);
    n->view = (struct candidate){.plugin = n->manifest->name,
                                 .version = n->manifest->version,
                                 .sha = n->sha,
                                 .file = n->copy,
                                 .manifest = n->manifest->json};
    return n;
}

/* What came of a vetting that has ended. */
static int take(struct host *h, struct trying *t, struct bp_err *err)
{
    if (err->rc == BP_OK)
        fits(t, err);
    if (err->rc == BP_OK) {
        const struct tried *n = tried_new(h, t, 1);
        if (h->role == HOST_CONTROLLER && show(h, n, err) < 0)
            host_candidate_drop(h, n->view.plugin);
        else
            log_info(LOG_HOST, "%s: version %s can be tried on jobs (%s)", n->view.plugin, n->view.version, t->path);
    } else if (t->kept) {
        host_candidate_drop(h, t->plugin);
    } else if (t->found && err->rc != BP_LATER) { /* which the next look may find better */
        log_warn(LOG_HOST, "%s cannot be tried: %s", t->path, err->text);
        tried_new(h, t, 0);
    }
    return err->rc;
}

static void vetted(void *args, const struct bp_err *said, void *arg)
{
    struct waiter *w = arg;
    struct bp_err err = *said;
    const struct trying *t = err.rc == BP_TIMEOUT ? NULL : args; /* which are still the actor's then */
    w->host->n_trying--;
    if (w->host->stopping)
        err_set(&err, BP_STOPPED, "bpd is stopping");
    else if (t)
        take(w->host, args, &err);
    if (t && t->out.copy.path[0] && !t->out.copy.fresh)
        tidy_later(w->host, t->out.copy.path); /* unless a candidate or a generation has it now */
    tidy(w->host);
    outcome_end(w->host, &w->outcome, &err);
    free(w);
}

static char *copy_of(const char *s)
{
    char *copy = s ? strdup(s) : NULL;
    assert(copy || !s);
    return copy;
}

static struct trying *trying_new(struct host *h, const char *path)
{
    struct trying *t = calloc(1, sizeof(*t));
    struct json_object *config = config_map(h->config, CONFIG_PLUGIN_CONFIG);
    assert(t);
    t->host = h;
    t->path = copy_of(path);
    t->copies = copy_of(h->copies);
    t->config = copy_of(config ? json_text(config) : NULL);
    t->signers = signers_copy(h->signers);
    t->max_bytes = config_int(h->config, CONFIG_PLUGINS_MAX_BYTES);
    t->limit_ms = config_int(h->config, CONFIG_PLUGINS_START_TIMEOUT_S) * 1000;
    return t;
}

/* Sends it; t is consumed. */
static void submit(struct trying *t, host_done done, void *arg)
{
    struct bp_err err = {0};
    struct host *h = t->host;
    struct waiter *w = calloc(1, sizeof(*w));
    assert(w);
    *w = (struct waiter){h, {.done = done, .arg = arg}};
    struct request_spec spec = {.service = FILES_SERVICE,
                                .name = "host.try",
                                .run = trying_run,
                                .args = t,
                                .args_free = trying_free,
                                .reply = vetted,
                                .arg = w,
                                .timeout_ms = t->limit_ms * 3};
    if (bus_request(h->bus, &spec, &err) == 0) {
        h->n_trying++;
        return;
    }
    outcome_end_soon(h, &w->outcome, &err);
    free(w);
}

void host_try(struct host *h, const char *plugin, const char *file, host_done done, void *arg)
{
    char kept[PATH_MAX];
    ASSERT_HOST(h);
    struct trying *t = trying_new(h, file);
    t->plugin = copy_of(plugin);
    t->runner = copy_of(h->runner);
    kept_path(h, plugin, kept, sizeof(kept));
    t->kept = copy_of(kept);
    submit(t, done, arg);
}

void host_kept_candidate(const struct host *h, const char *plugin, char *out, size_t n)
{
    kept_path(h, plugin, out, n);
}

void host_default_candidate(struct host *h, const char *plugin, char *out, size_t n)
{
    const struct plugin *p = plugin_find(h, plugin);
    const char *slash = p ? strrchr(p->file, '/') : NULL;
    snprintf(out, n, "%.*s/%s" CANDIDATE_ENDING, slash ? (int)(slash - p->file) : 0, p ? p->file : "", plugin);
}

/* ---- in a worker ---- */

static int is_found(const struct scan *scan, const char *path)
{
    for (uint32_t i = 0; i < scan->n; i++) {
        if (strcmp(scan->files[i].path, path) == 0)
            return 1;
    }
    return 0;
}

static int is_known(struct host *h, const struct found *f)
{
    const struct tried *t = find_path(h, f->path);
    return t && memcmp(&t->print, &f->print, sizeof(t->print)) == 0;
}

void candidates_scanned(struct host *h, const struct scan *scan)
{
    for (struct tried *t = h->tried, *next; t && h->role == HOST_WORKER; t = next) {
        next = t->next;
        if (is_found(scan, t->path))
            continue;
        if (t->manifest)
            log_info(LOG_HOST, "%s: version %s is tried no more", t->view.plugin, t->view.version);
        tried_free(h, t);
    }
    tidy(h);
    for (uint32_t i = 0; i < scan->n && h->role == HOST_WORKER; i++) {
        const struct found *f = &scan->files[i];
        if (!candidate_is_name(f->path) || is_known(h, f))
            continue;
        struct trying *t = trying_new(h, f->path);
        t->found = copy_of(f->path);
        t->print = f->print;
        submit(t, NULL, NULL);
    }
}

int candidates_use(const struct host *h, const char *copy)
{
    const struct tried *t = h->tried;
    while (t && !(t->copy && strcmp(t->copy, copy) == 0))
        t = t->next;
    return t != NULL;
}

void candidates_free(struct host *h)
{
    while (h->tried)
        tried_free(h, h->tried);
}
