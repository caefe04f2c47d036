/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/fixture.h"

#include <stdio.h>
#include <string.h>

static int is_described(struct rig *r, const void *arg)
{
    struct fleet_counts c;
    (void)r;
    return fleet_counts((struct fleets *)(uintptr_t)arg, "photo", &c) == 0;
}

void begin(struct fixture *f, int machines, int tick_ms)
{
    char tick[64], id[16];
    snprintf(tick, sizeof tick, "scale.tickMilliseconds=%d", tick_ms);
    f->rig = rig_new((const char *const[]){tick, NULL});
    for (int i = 1; i <= machines; i++) {
        snprintf(id, sizeof id, "i-%d", i);
        rig_machine(f->rig, id, 8000);
    }
    f->fleets = fleets_new(f->rig->bus, NULL, f->rig->config);
    assert_non_null(f->fleets);
    fleets_start(f->fleets);
    rig_until(f->rig, is_described, f->fleets);
}

void end(struct fixture *f)
{
    rig_quiet(f->rig);
    fleets_free(f->fleets);
    rig_free(f->rig);
}

struct fleet_counts counts(struct fixture *f)
{
    struct fleet_counts c;
    assert_int_equal(fleet_counts(f->fleets, "photo", &c), 0);
    return c;
}

struct wanted {
    struct fleets *fleets;
    int32_t running, draining, busy;
};

static int is_so(struct rig *r, const void *arg)
{
    const struct wanted *w = arg;
    struct fleet_counts c;
    (void)r;
    return fleet_counts(w->fleets, "photo", &c) == 0 && c.running == w->running && c.draining == w->draining &&
           c.busy == w->busy;
}

void until_counts(struct fixture *f, int32_t running, int32_t draining, int32_t busy)
{
    struct wanted w = {f->fleets, running, draining, busy};
    rig_until(f->rig, is_so, &w);
}

int resize(struct fixture *f, int32_t to)
{
    struct bp_err err = {0};
    int rc = fleet_resize(f->fleets, "photo", to, "the test wants it", &err);
    assert_int_equal(rc, err.rc);
    return rc;
}

void look(struct fixture *f)
{
    unsigned before = rig_calls(f->rig, "describe");
    rig_completed(f->rig);
    rig_until_calls(f->rig, "describe", before + 1);
    rig_turn(f->rig, 40);
}

const char *shown(struct fixture *f, const char *member)
{
    static char text[8192];
    struct json_object *list = fleets_describe(f->fleets, "photo");
    struct json_object *v = json_member(json_object_array_get_idx(list, 0), member);
    snprintf(text, sizeof text, "%s", v ? json_text(v) : "");
    json_object_put(list);
    return text;
}
