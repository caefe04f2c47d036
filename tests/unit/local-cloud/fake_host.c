/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_host.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern const struct bp_plugin bp_plugin_v1;

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_text[1 << 16];
static size_t log_used;

int64_t real_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void fake_nap(void)
{
    nanosleep(&(struct timespec){0, 5000000}, NULL);
}

/* ---- the host's table ---- */

static struct fake *of(struct bp_self *self)
{
    return (struct fake *)(void *)self;
}

static void host_log(struct bp_self *self, int32_t level, const char *fmt, ...) BP_PRINTF(3, 4);
static void host_log(struct bp_self *self, int32_t level, const char *fmt, ...)
{
    va_list ap;
    (void)self, (void)level;
    pthread_mutex_lock(&log_lock);
    va_start(ap, fmt);
    int n = vsnprintf(log_text + log_used, sizeof log_text - log_used, fmt, ap);
    va_end(ap);
    if (n > 0 && log_used + (size_t)n + 1 < sizeof log_text)
        log_used += (size_t)n;
    pthread_mutex_unlock(&log_lock);
}

int fake_logged(const char *words)
{
    pthread_mutex_lock(&log_lock);
    int found = strstr(log_text, words) != NULL;
    pthread_mutex_unlock(&log_lock);
    return found;
}

static int64_t host_now(struct bp_self *self)
{
    return real_ms() + of(self)->skew_ms;
}

static const char *host_config(struct bp_self *self)
{
    return of(self)->config;
}

static const char *host_state_dir(struct bp_self *self)
{
    return of(self)->dir;
}

static int32_t host_emit(struct bp_self *self, const char *event, const char *fields, struct bp_err *err)
{
    (void)self, (void)event, (void)fields, (void)err;
    return 0;
}

static void *host_alloc(size_t bytes)
{
    return calloc(1, bytes);
}

static const struct bp_host host = {
    .size = sizeof host,
    .abi = BP_ABI_VERSION,
    .log = host_log,
    .now_ms = host_now,
    .config = host_config,
    .state_dir = host_state_dir,
    .emit = host_emit,
    .alloc = host_alloc,
    .free = free,
};

/* ---- life ---- */

void fake_init(struct fake *f)
{
    char cwd[256], name[] = "state.XXXXXX";
    memset(f, 0, sizeof *f);
    assert_non_null(getcwd(cwd, sizeof cwd));
    assert_non_null(mkdtemp(name));
    snprintf(f->dir, sizeof f->dir, "%s/%s", cwd, name);
}

int fake_start(struct fake *f, const char *settings)
{
    free(f->config);
    f->config = NULL;
    assert_true(asprintf(&f->config,
                         "{%s%s\"_bpd\":{\"role\":\"%s\",\"url\":\"http://127.0.0.1:1\",\"stage\":\"local\","
                         "\"state_dir\":\"%s\",\"fleet_secret_file\":\"%s/fleet.secret\",\"instance_id\":\"\","
                         "\"bpd\":\"" FAKE_WORKER "\",\"plugins_dirs\":[\"/a/plugins\"]}}",
                         settings, settings[0] ? "," : "", f->role ? f->role : "controller", f->dir, f->dir) > 0);
    memset(&f->err, 0, sizeof f->err);
    int rc = bp_plugin_v1.start((struct bp_self *)(void *)f, &host, &f->inst, &f->err);
    f->local = f->inst;
    assert_int_equal(rc, f->err.rc);
    return rc;
}

void fake_stop(struct fake *f)
{
    if (f->inst)
        bp_plugin_v1.stop(f->inst);
    f->inst = f->local = NULL;
}

void fake_free(struct fake *f)
{
    fake_stop(f);
    free(f->config);
    f->config = NULL;
}

/* ---- files ---- */

void fake_write(struct fake *f, const char *name, const char *text)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

char *fake_read(struct fake *f, const char *name)
{
    char path[1024];
    char *text = NULL;
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    return file_read(path, 1U << 24, &text, NULL) == 0 ? text : NULL;
}

int fake_exists(struct fake *f, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    return access(path, F_OK) == 0;
}

int fake_count(struct fake *f, const char *name)
{
    char path[1024];
    int n = 0;
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (d)
        closedir(d);
    return n;
}

mode_t fake_mode(struct fake *f, const char *name)
{
    char path[1024];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}
