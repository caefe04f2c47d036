/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet_view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

void toy_make(struct fake *f, int32_t max, int32_t n)
{
    struct bp_fleet_spec spec = {.size = sizeof spec,
                                 .max_size = max,
                                 .slug = "toy",
                                 .stage = "local",
                                 .instance_types = "[\"small\",\"large\"]"};
    char *diff = NULL;
    assert_int_equal(fleet_facet.ensure(f->inst, &spec, 0, &diff, &f->err), 0);
    free(diff);
    assert_int_equal(fleet_facet.grow(f->inst, "toy", n, &f->err), 0);
}

static struct bp_fleet_state describe(struct fake *f)
{
    const char *slug = "toy";
    struct bp_fleet_state s = {.size = sizeof s};
    assert_int_equal(fleet_facet.describe(f->inst, &slug, 1, &s, &f->err), 0);
    return s;
}

int toy_desired(struct fake *f)
{
    struct bp_fleet_state s = describe(f);
    free(s.memory);
    return s.desired;
}

int toy_count(struct fake *f, int state)
{
    struct bp_fleet_state s = describe(f);
    int n = 0;
    for (uint32_t i = 0; i < s.n_instances; i++)
        n += !state || s.instances[i].state == state;
    free(s.memory);
    return n;
}

struct bp_instance toy_instance(struct fake *f, int state, int k)
{
    struct bp_fleet_state s = describe(f);
    struct bp_instance found = {.state = 0};
    for (uint32_t i = 0; i < s.n_instances && !found.state; i++)
        if ((!state || s.instances[i].state == state) && k-- == 0)
            found = s.instances[i];
    free(s.memory);
    assert_int_not_equal(found.state, 0);
    return found;
}

pid_t toy_pid(struct fake *f, const char *id)
{
    char name[128];
    snprintf(name, sizeof name, "instances/%s/up", id);
    char *text = fake_read(f, name);
    pid_t pid = text ? (pid_t)strtol(text, NULL, 10) : 0;
    free(text);
    return pid;
}

int toy_up(struct fake *f, int n)
{
    struct bp_fleet_state s = describe(f);
    int up = 0;
    for (uint32_t i = 0; i < s.n_instances; i++)
        up += s.instances[i].state == BP_INSTANCE_RUNNING && toy_pid(f, s.instances[i].id) > 0;
    free(s.memory);
    return up == n;
}

int is_gone(pid_t pid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 1;
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = 0;
    const char *p = strrchr(text, ')');
    return !p || p[2] == 'Z' || p[2] == 'X';
}

int toy_activities(struct fake *f, const char *reason, int failed)
{
    struct bp_activity list[256];
    uint32_t n = 256;
    int count = 0;
    assert_int_equal(fleet_facet.activities(f->inst, "toy", 0, list, &n, &f->err), 0);
    for (uint32_t i = 0; i < n; i++)
        count += strcmp(list[i].reason, reason) == 0 && list[i].failed == failed;
    return count;
}

int has_no_child(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
}
