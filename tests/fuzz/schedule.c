/* SPDX-License-Identifier: Apache-2.0 */
/* Windows as settings may have them, and zoneinfo files as a disk may have them: by the first byte. */
#include "policy/schedule.h"
#include "log/json.h"
#include "policy/zone.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void zone(const uint8_t *data, size_t size)
{
    struct bp_err err = {0};
    struct zone *z = zone_parse(data, size, &err);
    for (int64_t at = -4000000000; z && at < 6000000000; at += 123456789) {
        int32_t offset = zone_offset_s(z, at);
        assert(offset > -8 * 86400 && offset < 8 * 86400);
    }
    zone_free(z);
}

static void windows(const uint8_t *data, size_t size)
{
    struct bp_err err = {0};
    struct json_object *list = json_parse((const char *)data, size, &err);
    struct schedule *s = list ? schedule_new(list, &err) : NULL;
    for (int64_t at = 1764144000000; s && at < 1764144000000 + 86400000; at += 3599000) {
        struct schedule_now now = schedule_at(s, at);
        assert(now.min >= -1 && now.max >= -1);
    }
    schedule_free(s);
    json_object_put(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] == 'T')
        zone(data, size); /* "TZif" */
    else
        windows(data, size);
    return 0;
}
