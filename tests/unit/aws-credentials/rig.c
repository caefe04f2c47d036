/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"
#include "cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct aws rig;
char rig_logged[65536];
static char dir[64];
static int written; /* files, so that each has a time of its own */
extern char **environ;

static void host_log(struct bp_self *self, int32_t level, const char *fmt, ...) BP_PRINTF(3, 4);

static void host_log(struct bp_self *self, int32_t level, const char *fmt, ...)
{
    va_list ap;
    size_t n = strlen(rig_logged);
    (void)self, (void)level;
    va_start(ap, fmt);
    vsnprintf(rig_logged + n, sizeof rig_logged - n, fmt, ap);
    va_end(ap);
    strncat(rig_logged, "\n", sizeof rig_logged - strlen(rig_logged) - 1);
}

static int64_t host_now(struct bp_self *self)
{
    (void)self;
    return (int64_t)time(NULL) * 1000;
}

static void *host_alloc(size_t n)
{
    return calloc(1, n);
}

static const struct bp_host host = {
    .size = sizeof host, .abi = BP_ABI_VERSION, .log = host_log, .now_ms = host_now, .alloc = host_alloc, .free = free};

static void forget_environment(void)
{
    char name[256];
    for (char **e = environ; e && *e;) {
        if (strncmp(*e, "AWS_", 4) != 0) {
            e++;
            continue;
        }
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*e, "="), *e);
        unsetenv(name);
        e = environ;
    }
}

const char *rig_file(const char *name, const char *text, int mode)
{
    static char paths[4][160];
    static int at;
    char *path = paths[at++ % 4];
    snprintf(path, 160, "%s/%s", dir, name);
    if (!text)
        return path;
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    chmod(path, (mode_t)mode);
    written++;
    const struct timespec t[2] = {{1700000000 + written, 0}, {1700000000 + written, 0}};
    utimensat(0, path, t, 0);
    return path;
}

void rig_write_config(const char *text)
{
    rig_file("config", text, 0600);
}

void rig_write_credentials(const char *text)
{
    rig_file("credentials", text, 0600);
}

void rig_open(const char *settings, const char *config, const char *credentials)
{
    struct bp_err err = {0};
    forget_environment();
    snprintf(dir, sizeof dir, "/tmp/bpd-creds-XXXXXX");
    assert_non_null(mkdtemp(dir));
    setenv("HOME", dir, 1);
    setenv("no_proxy", "127.0.0.1", 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    setenv("AWS_CONFIG_FILE", rig_file("config", config, 0600), 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", rig_file("credentials", credentials, 0600), 1);
    memset(&rig, 0, sizeof rig);
    rig_logged[0] = '\0';
    rig.host = &host;
    assert_int_equal(settings_open(&rig.settings, settings, &err), 0);
    settings_region_of_profile(&rig.settings);
}

void rig_close(void)
{
    char command[128];
    settings_close(&rig.settings);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}
