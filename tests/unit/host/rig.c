/* SPDX-License-Identifier: Apache-2.0 */
#include "host/rig.h"
#include "log/log.h"
#include <bp/cloud.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE_MS 30000

static void on_arrow(const struct event_msg *e, void *arg)
{
    struct rig *r = arg;
    struct json_object *f = event_fields(e);
    size_t n = strlen(r->arrows);
    snprintf(r->arrows + n, sizeof(r->arrows) - n, "%s %d %s>%s %s\n", json_str(f, "plugin", "?"),
             (int)json_int(f, "generation", -1), json_str(f, "from", "?"), json_str(f, "to", "?"),
             json_str(f, "reason", "?"));
}

static void tick(void *arg)
{
    struct rig *r = arg;
    if (!r->until)
        return;
    r->timed_out = mono_ms() > r->until_ms;
    if (r->timed_out || r->until(r, r->until_arg)) {
        r->until = NULL;
        loop_stop(r->loop);
    }
}

void rig_until(struct rig *r, int (*condition)(struct rig *r, const void *arg), const void *arg)
{
    r->until = condition;
    r->until_arg = arg;
    r->until_ms = mono_ms() + PATIENCE_MS;
    loop_run(r->loop);
    if (r->timed_out)
        print_error("waited in vain; arrows so far:\n%s", r->arrows);
    assert_false(r->timed_out);
}

int rig_has_arrow(const struct rig *r, const char *text)
{
    return strstr(r->arrows, text) != NULL;
}

void rig_assert_arrow(const struct rig *r, const char *text)
{
    if (!rig_has_arrow(r, text))
        print_error("no \"%s\" in\n%s", text, r->arrows);
    assert_true(rig_has_arrow(r, text));
}

static int has_arrow(struct rig *r, const void *text)
{
    return rig_has_arrow(r, text);
}

void rig_until_arrow(struct rig *r, const char *text)
{
    rig_until(r, has_arrow, text);
}

struct wanted {
    const char *text;
    int found;
};

static void look_at_line(const char *line, void *arg)
{
    struct wanted *w = arg;
    w->found |= strstr(line, w->text) != NULL;
}

static int has_log(struct rig *r, const void *text)
{
    struct wanted w = {text, 0};
    (void)r;
    log_recent(1000, look_at_line, &w);
    return w.found;
}

void rig_until_log(struct rig *r, const char *text)
{
    rig_until(r, has_log, text);
}

static int past(struct rig *r, const void *until)
{
    (void)r;
    return mono_ms() >= *(const int64_t *)until;
}

void rig_pause(struct rig *r, int64_t ms)
{
    int64_t until = mono_ms() + ms;
    rig_until(r, past, &until);
}

/* A bp-runner that loads nothing: it refuses files that contain the word in its second line's pattern. A file beside
 * it, named <runner>.slow, makes it hang once. */
static void runner_write(const char *path)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "#!/bin/sh\n[ \"$1\" = --probe ] || { echo 'no --probe' >&2; exit 2; }\n"
               "[ -e \"$0.slow\" ] && rm \"$0.slow\" && exec sleep 60\n"
               "case $2 in *refuse-me*) echo 'some noise' >&2; echo 'the plugin needs a GPU' >&2; exit 1;; "
               "*crash-me*) kill -SEGV $$;; *hang-me*) sleep 60;; esac\n"
               "[ \"$3\" = --workflows ] || exit 0\n"
               "i=0; while [ $i -lt 64 ]; do echo \"begin $i\" >&3; echo \"good $i\" >&3; i=$((i + 1)); done\n");
    fclose(f);
    assert_int_equal(chmod(path, 0755), 0);
}

struct rig *rig_new(enum host_role role, const char *const *sets)
{
    struct bp_err err = {0};
    struct rig *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    snprintf(r->dir, sizeof(r->dir), "%s/rig-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(r->dir));
    snprintf(r->plugins, sizeof(r->plugins), "%s/plugins", r->dir);
    snprintf(r->workflows, sizeof(r->workflows), "%s/workflows.d", r->dir);
    snprintf(r->state, sizeof(r->state), "%s/state", r->dir);
    snprintf(r->runner, sizeof(r->runner), "%s/runner", r->dir);
    assert_int_equal(mkdir(r->plugins, 0755), 0);
    assert_int_equal(mkdir(r->state, 0700), 0);
    runner_write(r->runner);
    struct config_sources src = {.sets = sets};
    while (sets && sets[src.n_sets])
        src.n_sets++;
    r->config = config_load(&src, &err);
    if (!r->config)
        print_error("%s\n", err.text);
    assert_non_null(r->config);
    r->loop = loop_new();
    r->bus = bus_new(r->loop);
    r->tick = loop_timer_new(r->loop, "test", tick, r);
    loop_timer_every(r->tick, 2);
    bus_subscribe(r->bus, "plugin.state", on_arrow, r);
    const char *dirs[] = {r->plugins};
    struct host_spec spec = {.bus = r->bus,
                             .config = r->config,
                             .role = role,
                             .state_dir = r->state,
                             .dirs = dirs,
                             .n_dirs = 1,
                             .workflows_dir = r->workflows,
                             .runner = r->runner,
                             .about = "{\"role\":\"test\"}"};
    r->host = host_new(&spec, &err);
    if (!r->host)
        print_error("%s\n", err.text);
    assert_non_null(r->host);
    return r;
}

static void on_settled(void *arg)
{
    ((struct rig *)arg)->settled++;
}

static int is_settled(struct rig *r, const void *arg)
{
    (void)arg;
    return r->settled;
}

void rig_start(struct rig *r)
{
    host_start(r->host, on_settled, r);
    rig_until(r, is_settled, NULL);
}

static void on_stopped(void *arg)
{
    ((struct rig *)arg)->done = 1;
}

static int is_done(struct rig *r, const void *arg)
{
    (void)arg;
    return r->done;
}

void rig_free(struct rig *r)
{
    r->done = 0;
    host_stop(r->host, on_stopped, r);
    rig_until(r, is_done, NULL);
    assert_int_equal(r->settled, 1);
    host_free(r->host);
    loop_timer_free(r->tick);
    bus_free(r->bus);
    loop_free(r->loop);
    config_free(r->config);
    free(r);
}

const char *rig_path(struct rig *r, const char *as)
{
    static char path[1024];
    snprintf(path, sizeof(path), "%s/%s.so", r->plugins, as);
    return path;
}

static void file_copy(const char *from, const char *to, size_t limit)
{
    char buf[65536];
    FILE *in = fopen(from, "re"), *out = fopen(to, "we");
    if (!in)
        print_error("%s is missing; build the target test-plugins\n", from);
    assert_non_null(in);
    assert_non_null(out);
    size_t n, want = limit ? limit : SIZE_MAX;
    while (want > 0 && (n = fread(buf, 1, want < sizeof(buf) ? want : sizeof(buf), in)) > 0) {
        assert_int_equal(fwrite(buf, 1, n, out), n);
        want -= n;
    }
    fclose(in);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(to, 0644), 0);
}

static const char *source_path(const char *file)
{
    static char path[1024];
    snprintf(path, sizeof(path), "%s/tests/plugins/t-%s.so", getenv("BP_BUILD_DIR"), file);
    return path;
}

void rig_write(struct rig *r, const char *file, const char *as, size_t n)
{
    file_copy(source_path(file), rig_path(r, as), n);
}

void rig_put(struct rig *r, const char *file, const char *as)
{
    char temp[1024];
    snprintf(temp, sizeof(temp), "%s/.%s.tmp", r->plugins, as);
    file_copy(source_path(file), temp, 0);
    assert_int_equal(rename(temp, rig_path(r, as)), 0);
}

void rig_remove(struct rig *r, const char *as)
{
    assert_int_equal(unlink(rig_path(r, as)), 0);
}

void rig_define(struct rig *r, const char *slug, const char *text)
{
    char temp[1024], path[1024];
    mkdir(r->workflows, 0755);
    snprintf(path, sizeof(path), "%s/%s.json", r->workflows, slug);
    snprintf(temp, sizeof(temp), "%s/.%s.tmp", r->workflows, slug);
    if (!text) {
        assert_int_equal(unlink(path), 0);
        return;
    }
    FILE *f = fopen(temp, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(temp, 0644), 0);
    assert_int_equal(rename(temp, path), 0);
}

void rig_done(const struct bp_err *err, void *rig)
{
    struct rig *r = rig;
    r->outcome = *err;
    r->done = 1;
}

int rig_outcome(struct rig *r)
{
    rig_until(r, is_done, NULL);
    r->done = 0;
    return r->outcome.rc;
}

const char *rig_entry(struct rig *r, const char *name, const char *state, const char *member)
{
    static char text[1024];
    struct json_object *list = host_describe(r->host);
    text[0] = '\0';
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *o = json_object_array_get_idx(list, i), *v = json_member(o, member);
        if (strcmp(json_str(o, "name", ""), name) == 0 && (!state || strcmp(json_str(o, "state", ""), state) == 0) && v)
            snprintf(text, sizeof(text), "%s", json_object_get_string(v));
    }
    json_object_put(list);
    return text;
}

/* ---- requests ---- */

struct ask {
    char name[700], *value;
};

static int ask_run(const void *table, void *inst, void *args, struct bp_err *err)
{
    struct ask *a = args;
    return ((const struct bp_params *)table)->get(inst, a->name, &a->value, err);
}

static void ask_free(void *args)
{
    free(((struct ask *)args)->value);
    free(args);
}

static void ask_reply(void *args, const struct bp_err *err, void *arg)
{
    struct ask *a = args;
    if (err->rc)
        snprintf(arg, 256, "error: %.200s", err->text);
    else
        snprintf(arg, 256, "%s", a->value);
}

void rig_param_send(struct rig *r, const char *name, char *out)
{
    struct bp_err err = {0};
    struct ask *a = calloc(1, sizeof(*a));
    snprintf(a->name, sizeof(a->name), "%s", name);
    out[0] = '\0';
    struct request_spec spec = {.service = "params",
                                .name = "params.get",
                                .run = ask_run,
                                .args = a,
                                .args_free = ask_free,
                                .reply = ask_reply,
                                .arg = out,
                                .timeout_ms = 20000};
    if (bus_request(r->bus, &spec, &err))
        snprintf(out, 256, "error: %.200s", err.text);
}

static int is_answered(struct rig *r, const void *arg)
{
    (void)r;
    return ((const char *)arg)[0] != '\0';
}

const char *rig_param(struct rig *r, const char *name)
{
    static char out[256];
    rig_param_send(r, name, out);
    rig_until(r, is_answered, out);
    return out;
}
