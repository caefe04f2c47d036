/* SPDX-License-Identifier: Apache-2.0 */
#include "photo_host.h"

#include "log/json.h"
#include "log/log.h"

#include <stdlib.h>
#include <string.h>

#define MANIFEST                                                                                                       \
    "{\"slug\":\"photo\",\"accepts\":[\"image/*\"],\"produces\":\"video/mp4\",\"params\":{\"type\":\"object\","        \
    "\"required\":[\"move\"],\"properties\":{\"duration\":{\"type\":\"number\",\"minimum\":1,\"maximum\":30,"          \
    "\"default\":5},"                                                                                                  \
    "\"move\":{\"type\":\"string\",\"enum\":[\"push\",\"pull\"],\"default\":\"push\"},"                                \
    "\"name\":{\"type\":\"string\",\"maxLength\":8,\"pattern\":\"^[a-z]*$\"},"                                         \
    "\"list\":{\"type\":\"array\",\"maxItems\":4,\"items\":{\"type\":\"integer\",\"multipleOf\":3}}}}}"

struct workflow photo = {.slug = "photo", .display_name = "Photo", .version = "1", .timeout_s = 60};

const struct workflow *host_workflow(struct host *h, const char *slug)
{
    (void)h;
    return strcmp(slug, photo.slug) == 0 ? &photo : NULL;
}

const char *host_nearest_workflow(struct host *h, const char *slug)
{
    (void)h;
    const char *names[] = {photo.slug};
    return nearest_name(slug, names, 1);
}

void host_workflow_fault(struct host *h, const char *slug, const char *sha, int64_t job, const char *what)
{
    (void)h, (void)slug, (void)sha, (void)job, (void)what;
}

void host_set_leases(struct host *h, const char *slug, int64_t leases)
{
    (void)h;
    (void)slug;
    (void)leases;
}

struct dispatch *photo_engine(struct bus *bus)
{
    struct bp_err err = {0};
    const char *sets[] = {
        "effects={\"pull\":{\"workflow\":\"photo\",\"params\":{\"move\":\"pull\"},\"locked\":[\"move\"]}}"};
    struct config_sources src = {.sets = sets, .n_sets = 1};
    struct config *c = config_load(&src, &err);
    photo.manifest = json_parse(MANIFEST, strlen(MANIFEST), &err);
    if (!c || !photo.manifest)
        abort();
    photo.params = json_member(photo.manifest, "params");
    log_set_level(LOG_SUB_NONE, BP_LOG_ERROR);
    return dispatch_new(bus, NULL, c);
}
