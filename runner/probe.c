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

#define WORKFLOW_MAX (4 * 1024 * 1024)

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

/* Only a workflow is started: another plugin's start may have effects, and the daemon starts it itself. */
static int try_workflow(struct plugin *p, const char *dir, const char *workflow, const char *beside, struct bp_err *err)
{
    snprintf(p->self.state_dir, sizeof(p->self.state_dir), "%s", dir);
    p->self.log = log_line;
    int rc = plugin_start(p, err);
    // cppcheck-suppress arithOperationsOnVoidPointer ; no arithmetic: the size of a member
    if (rc == BP_OK && workflow && BP_HAS(p->job, check)) {
        rc = p->job->check(p->inst, workflow, beside, err);
        if (rc < 0)
            load_text_clean(err, "the plugin takes the workflow for wrong, and gives no reason");
    }
    plugin_stop(p);
    return rc;
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
static int check(const char *file, const char *dir, const struct manifest *m, const char *workflow)
{
    static struct plugin p;
    struct bp_err err = {0};
    struct json_object *flow = workflow ? json_parse(workflow, strlen(workflow), &err) : NULL;
    const char *beside = json_str(flow, "settingsDir", "");
    int rc = enter_sandbox(file, dir, beside, &err);
    if (rc == BP_OK)
        rc = plugin_load(&p, file, m->name, &err);
    if (rc == BP_OK && m->kind == KIND_WORKFLOW)
        rc = try_workflow(&p, dir, workflow, beside, &err);
    json_object_put(flow);
    if (rc < 0)
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

static int check_apart(const char *file, const struct manifest *m, const char *workflow)
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
        exit(check(file, dir, m, workflow));
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

char *probe_read_workflow(void)
{
    struct bp_err err = {0};
    char *text = malloc(WORKFLOW_MAX + 1);
    if (!text)
        return NULL;
    size_t n = fread(text, 1, WORKFLOW_MAX + 1, stdin);
    struct json_object *o = n > 0 && n <= WORKFLOW_MAX ? json_parse(text, n, &err) : NULL;
    int good = json_object_is_type(o, json_type_object);
    json_object_put(o);
    if (good) {
        text[n] = '\0';
        return text;
    }
    free(text);
    return NULL;
}

int probe(const char *file, const char *workflow)
{
    struct bp_err err = {0};
    if (sandbox_privileges(2, 0, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    struct manifest *m = read_manifest(file, &err);
    int status = m ? check_apart(file, m, workflow) : 1;
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
