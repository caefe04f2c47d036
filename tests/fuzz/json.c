/* SPDX-License-Identifier: Apache-2.0 */
/* What json_parse accepts is written out and accepted again, with the same meaning; a strict text is a config text too.
 */
#include "log/json.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bp_err err = {0};
    struct json_object *strict = json_parse((const char *)data, size, &err);
    struct json_object *config = json_parse_config((const char *)data, size, &err);
    check(!strict || config);
    if (strict) {
        const char *text = json_text(strict);
        struct json_object *again = json_parse(text, strlen(text), &err);
        check(again && json_object_equal(strict, again));
        json_object_put(again);
    } else {
        check(err.rc == BP_INVALID || config);
    }
    json_object_put(strict);
    json_object_put(config);
    return 0;
}
