/* SPDX-License-Identifier: Apache-2.0 */
#include "runner/probe.h"

#include "log/err.h"
#include "log/json.h"
#include "pluginfile/load.h"
#include "pluginfile/manifest.h"
#include "runner/plugin.h"
#include "runner/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define INPUT_MAX ((size_t)256 * 1024 * 1024)
#define PIECE     ((size_t)65536)

static void log_line(int32_t level, const char *text)
{
    if (level <= BP_LOG_WARN)
        fprintf(stderr, "%s\n", text);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

/* A directory of its own for the plugin's state, "" on error. */
static int state_make(struct plugin *p, struct bp_err *err)
{
    const char *temp = getenv("TMPDIR");
    snprintf(p->self.state_dir, sizeof(p->self.state_dir), "%s/bp-probe.XXXXXX", temp && *temp ? temp : "/tmp");
    p->self.log = log_line;
    if (mkdtemp(p->self.state_dir))
        return BP_OK;
    return err_set(err, BP_IO, "make a directory %s: %s", p->self.state_dir, strerror(errno));
}

static void state_remove(const struct plugin *p)
{
    nftw(p->self.state_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Of each workflow, its verdict. -1: not all are right. */
static int check_workflows(struct plugin *p, struct json_object *workflows, int said)
{
    int bad = 0;
    size_t n = workflows ? json_object_array_length(workflows) : 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *flow = json_object_array_get_idx(workflows, i);
        struct bp_err err = {0};
        if (said >= 0)
            dprintf(said, "begin %zu\n", i);
        // cppcheck-suppress arithOperationsOnVoidPointer ; no arithmetic: the size of a member
        int rc = BP_HAS(p->job, check)
                     ? p->job->check(p->inst, json_text(flow), json_str(flow, "settingsDir", ""), &err)
                     : BP_OK;
        if (rc < 0)
            load_text_clean(&err, "the plugin takes the workflow for wrong, and gives no reason");
        if (said >= 0)
            dprintf(said, rc < 0 ? "bad %zu %s\n" : "good %zu\n", i, err.text);
        if (rc < 0)
            fprintf(stderr, "%s\n", err.text);
        bad |= rc < 0;
    }
    return bad ? -1 : 0;
}

/* Only a workflow is started: another plugin's start may have effects, and the daemon starts it itself. */
static int try_workflow(struct plugin *p, const char *dir, struct json_object *workflows, int said, struct bp_err *err)
{
    snprintf(p->self.state_dir, sizeof(p->self.state_dir), "%s", dir);
    p->self.log = log_line;
    int rc = plugin_start(p, err);
    int bad = rc == BP_OK ? check_workflows(p, workflows, said) : 0;
    plugin_stop(p);
    return rc < 0 ? rc : bad;
}

/* What the kernel cannot enforce is told when a job runs; to load and start a plugin it is as good as it is. */
static int enter_sandbox(const char *file, const char *dir, const char *beside, struct bp_err *err)
{
    int files = *beside && strcmp(beside, "/") != 0; /* what lies beside the workflow's file: a graph, say */
    const char *read[] = {file, files ? beside : NULL, NULL}, *write[] = {dir, NULL};
    struct sandbox_rules rules = {.read = read, .write = write};
    int listener;
    int rc = sandbox_files(&rules, err);
    if (rc == BP_OK || rc == BP_UNSUPPORTED)
        rc = sandbox_calls(&rules, 0, &listener, err);
    if (rc < 0 && rc != BP_UNSUPPORTED)
        return rc;
    memset(err, 0, sizeof(*err));
    return BP_OK;
}

/* [the process in which the plugin's code runs] */
static int check(const char *file, const char *dir, const struct manifest *m, struct json_object *workflows, int said)
{
    static struct plugin p;
    struct bp_err err = {0};
    const char *beside = workflows ? json_str(json_object_array_get_idx(workflows, 0), "settingsDir", "") : "";
    int rc = enter_sandbox(file, dir, beside, &err);
    if (rc == BP_OK)
        rc = plugin_load(&p, file, m->name, &err);
    if (rc == BP_OK && m->kind == KIND_WORKFLOW)
        rc = try_workflow(&p, dir, workflows, said, &err);
    if (rc < 0 && err.text[0])
        fprintf(stderr, "%s\n", err.text);
    return rc < 0 ? 1 : 0;
}

/* The manifest in the file, read without running any of its code; NULL with err. manifest_free() it. */
static struct manifest *read_manifest(const char *file, struct bp_err *err)
{
    struct manifest *m = NULL;
    struct stat st = {0};
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        err_set(err, BP_IO, "read %s: %s", file, strerror(errno));
    } else if (!S_ISREG(st.st_mode) || st.st_size == 0) {
        err_set(err, BP_INVALID, "%s is empty or no file", file);
    } else {
        void *image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (image == MAP_FAILED)
            err_set(err, BP_IO, "map %s: %s", file, strerror(errno));
        else
            m = manifest_read(image, (size_t)st.st_size, err);
        if (image != MAP_FAILED)
            munmap(image, (size_t)st.st_size);
    }
    if (fd >= 0)
        close(fd);
    return m;
}

/* Whoever has no patience ends us: the plugin's process and its directory go first. */
static volatile pid_t tried;
static void on_term(int sig)
{
    (void)sig;
    kill(tried, SIGKILL);
}

/* As a shell tells it to whoever waits, but by the same signal. */
static int end_as(int status)
{
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    signal(WTERMSIG(status), SIG_DFL);
    raise(WTERMSIG(status));
    return 1;
}

static int check_apart(const char *file, const struct manifest *m, struct json_object *workflows, int said)
{
    char dir[] = "/tmp/bp-probe.XXXXXX";
    int status = 0;
    sigset_t term, before;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &before); /* until there is somebody to end */
    if (!mkdtemp(dir)) {
        fprintf(stderr, "make a directory %s: %s\n", dir, strerror(errno));
        return 1;
    }
    tried = fork();
    if (tried == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        sigprocmask(SIG_SETMASK, &before, NULL);
        exit(check(file, dir, m, workflows, said));
    }
    if (tried < 0)
        fprintf(stderr, "start a process: %s\n", strerror(errno));
    if (tried > 0)
        signal(SIGTERM, on_term);
    sigprocmask(SIG_SETMASK, &before, NULL);
    while (tried > 0 && waitpid(tried, &status, 0) < 0 && errno == EINTR)
        ;
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return tried < 0 ? 1 : end_as(status);
}

/* All of standard input, *n bytes; NULL: no memory, or too much. */
static char *read_input(size_t *n)
{
    char *text = NULL;
    size_t room = 0, k = 1;
    for (*n = 0; k > 0 && *n <= INPUT_MAX; *n += k) {
        char *grown = *n + PIECE > room ? realloc(text, room = 2 * room + PIECE) : text;
        if (!grown) {
            free(text);
            return NULL;
        }
        text = grown;
        k = fread(text + *n, 1, PIECE, stdin);
    }
    if (*n <= INPUT_MAX)
        return text;
    free(text);
    return NULL;
}

static int are_objects(struct json_object *list)
{
    size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0, good = 0;
    for (size_t i = 0; i < n; i++)
        good += (size_t)json_object_is_type(json_object_array_get_idx(list, i), json_type_object);
    return n > 0 && good == n;
}

struct json_object *probe_read_workflows(void)
{
    struct bp_err err = {0};
    size_t n = 0;
    char *text = read_input(&n);
    struct json_object *list = text && n > 0 ? json_parse(text, n, &err) : NULL;
    free(text);
    if (are_objects(list))
        return list;
    json_object_put(list);
    return NULL;
}

int probe(const char *file, struct json_object *workflows, int said)
{
    struct bp_err err = {0};
    if (sandbox_privileges(said >= 0 ? said : 2, 0, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    struct manifest *m = read_manifest(file, &err);
    int status = m ? check_apart(file, m, workflows, said) : 1;
    if (!m)
        fprintf(stderr, "%s\n", err.text);
    manifest_free(m);
    return status;
}

/* ---- for an author ---- */

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct json_object *offers_json(const struct offer *offers, uint32_t n)
{
    struct json_object *list = json_object_new_array();
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bytes;
        struct json_object *o = json_object_new_object();
        memcpy(&bytes, offers[i].table, sizeof(bytes));
        json_put_str(o, "facet", offers[i].facet->id);
        json_put_int(o, "bytes", bytes);
        json_object_array_add(list, o);
    }
    return list;
}

static int start_and_stop(struct plugin *p, const struct manifest *m, struct json_object *out, const char **stage,
                          struct bp_err *err)
{
    struct offer offers[FACETS];
    uint32_t n = 0;
    int64_t began = now_ms();
    *stage = "start";
    int rc = plugin_begin(p, err);
    if (rc < 0)
        return rc;
    json_put_int(out, "start_ms", now_ms() - began);
    *stage = "facets";
    rc = load_offers(p->table, p->inst, m, offers, &n, err);
    json_object_object_add(out, "facets", offers_json(offers, n));
    began = now_ms();
    plugin_stop(p);
    json_put_int(out, "stop_ms", now_ms() - began);
    return rc;
}

static int start_probe(const char *file, const char *settings, const struct manifest *m, struct json_object *out)
{
    static struct plugin p;
    struct bp_err err = {0};
    const char *stage = "load";
    const struct sandbox_rules rules = {0};
    int listener, rc = sandbox_calls(&rules, 0, &listener, &err);
    if (rc == BP_OK || rc == BP_UNSUPPORTED) {
        memset(&err, 0, sizeof(err));
        rc = plugin_load(&p, file, m->name, &err);
    }
    if (rc == BP_OK)
        rc = state_make(&p, &err);
    if (rc == BP_OK) {
        p.self.config = (char *)(uintptr_t)settings;
        rc = start_and_stop(&p, m, out, &stage, &err);
        state_remove(&p);
    }
    json_put_int(out, "rc", rc);
    if (rc < 0) {
        load_text_clean(&err, "it gave no reason");
        json_put_str(out, "stage", stage);
        json_put_str(out, "text", err.text);
    }
    return rc;
}

int probe_start(const char *file, const char *settings)
{
    struct bp_err err = {0};
    struct manifest *m = read_manifest(file, &err);
    struct json_object *out = json_object_new_object();
    if (m) {
        start_probe(file, settings, m, out);
        printf("\n%s\n", json_text(out));
    } else {
        fprintf(stderr, "%s\n", err.text);
    }
    json_object_put(out);
    manifest_free(m);
    return !m || fflush(stdout) != 0;
}
