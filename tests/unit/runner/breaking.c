/* SPDX-License-Identifier: Apache-2.0 */
#include "breaking.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif

int kernel_landlock(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
    return version > 0 ? (int)version : 0;
}

int kernel_asks(void)
{
    uint32_t action = SECCOMP_RET_USER_NOTIF;
    int major = 0, minor = 0;
    struct utsname u;
    uname(&u);
    sscanf(u.release, "%d.%d", &major, &minor);
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 && (major > 5 || (major == 5 && minor >= 7));
}

void breaking_start(struct peer *p, const char *plugin, const char *const *more)
{
    char file[4096], text[9000];
    const char *rules[24] = {"--write", "job", "--read", file};
    size_t n = 4;
    snprintf(file, sizeof(file), "%s", peer_built("tests/workflows/"));
    snprintf(file + strlen(file), sizeof(file) - strlen(file), "%s.so", plugin);
    if (!strcmp(plugin, "test-open")) {
        rules[n++] = "--loopback";
        rules[n++] = "--exec";
        rules[n++] = "--processes";
        rules[n++] = "12";
    }
    while (more && *more)
        rules[n++] = *more++;
    mkdir("job", 0700);
    peer_start(p, rules);
    snprintf(text, sizeof(text),
             "{\"type\":\"open\",\"plugin\":\"%s\",\"name\":\"%s\",\"device\":\"cpu\",\"state_dir\":\"job\"}", file,
             plugin);
    peer_tell(p, text);
    struct json_object *ready = peer_hear(p, "ready");
    print_message("left open: %s\n", json_str(ready, "open", ""));
    json_object_put(ready);
}

void breaking_job(struct peer *p, const char *params)
{
    char text[5000];
    snprintf(text, sizeof(text),
             "{\"type\":\"job\",\"id\":5,\"attempt\":1,\"params\":%s,\"inputs\":[],\"output\":\"job/out\","
             "\"temp_dir\":\"job\"}",
             params);
    peer_tell(p, text);
}

int breaking_try(struct peer *p, const char *params)
{
    int tried = -1;
    breaking_job(p, params);
    struct json_object *o = peer_hear(p, "result");
    if (json_int(o, "rc", 1) != BP_OK)
        print_error("%s\n", json_text(o));
    assert_int_equal(json_int(o, "rc", 1), BP_OK);
    json_object_put(o);
    FILE *f = fopen("job/out", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "{\"errno\":%d}", &tried), 1);
    fclose(f);
    return tried;
}

int breaking_try_once(const char *plugin, const char *params)
{
    struct peer p;
    breaking_start(&p, plugin, NULL);
    int tried = breaking_try(&p, params);
    assert_int_equal(peer_finish(&p), 0);
    return tried;
}

int breaking_end(struct peer *p, const char *params)
{
    breaking_job(p, params);
    for (struct json_object *o; (o = peer_hear_any(p));)
        json_object_put(o);
    return peer_finish(p);
}
