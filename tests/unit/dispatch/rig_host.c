/* SPDX-License-Identifier: Apache-2.0 */
/* rig_host.c - the plugin host's double: three workflows. */
#include "dispatch/rig.h"

#include "log/err.h"

#include <string.h>

#define PHOTO_MANIFEST                                                                                                 \
    "{'slug':'photo','accepts':['image/jpeg','image/png'],'produces':'video/mp4','maxInputs':2,"                       \
    "'params':{'type':'object','properties':{"                                                                         \
    "'duration':{'type':'number','minimum':1,'maximum':30,'default':5},"                                               \
    "'move':{'type':'string','enum':['push','pull'],'default':'push'}}}}"

static struct workflow workflows[] = {
    {.slug = "gone", .version = "1", .draining = 1, .timeout_s = 60},
    {.slug = "noop", .version = "1.2.3", .timeout_s = 60},
    {.slug = "photo", .version = "2.0.0", .timeout_s = 600},
};
static const char *const manifests[] = {"{'slug':'gone'}", "{'slug':'noop'}", PHOTO_MANIFEST};
#define N_WORKFLOWS (sizeof workflows / sizeof *workflows)

const struct workflow *host_workflow(struct host *h, const char *slug)
{
    (void)h;
    for (size_t i = 0; i < N_WORKFLOWS; i++) {
        if (strcmp(workflows[i].slug, slug) == 0)
            return &workflows[i];
    }
    return NULL;
}

const char *host_nearest_workflow(struct host *h, const char *slug)
{
    (void)h;
    const char *names[N_WORKFLOWS];
    for (size_t i = 0; i < N_WORKFLOWS; i++)
        names[i] = workflows[i].slug;
    return nearest_name(slug, names, N_WORKFLOWS);
}

void host_workflow_fault(struct host *h, const char *slug, const char *sha, int64_t job, const char *what)
{
    (void)h, (void)slug, (void)sha, (void)job, (void)what;
}

void host_set_leases(struct host *h, const char *slug, int64_t leases)
{
    (void)h;
    (void)slug;
    assert_true(leases >= 0);
}

void rig_workflows_make(void)
{
    for (size_t i = 0; i < N_WORKFLOWS; i++) {
        workflows[i].manifest = js(manifests[i]);
        workflows[i].params = json_member(workflows[i].manifest, "params");
    }
}

void rig_workflows_free(void)
{
    for (size_t i = 0; i < N_WORKFLOWS; i++)
        json_object_put(workflows[i].manifest);
}
