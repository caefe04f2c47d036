/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/fault.h"

#include "log/json.h"

#include <stdio.h>
#include <string.h>

/* The report, owned by *whole, which the caller puts; NULL: none. */
static struct json_object *report_in(const char *capabilities, struct json_object **whole)
{
    *whole = NULL;
    if (!capabilities || !strstr(capabilities, "\"health\"")) /* most say nothing, and this is asked at each poll */
        return NULL;
    *whole = json_parse(capabilities, strlen(capabilities), NULL);
    struct json_object *health = *whole ? json_member(*whole, "health") : NULL;
    return json_object_is_type(health, json_type_object) ? health : NULL;
}

int fault_is_checked(const char *capabilities)
{
    struct json_object *whole;
    int checked = report_in(capabilities, &whole) != NULL;
    json_object_put(whole);
    return checked;
}

int fault_is_sound(const char *capabilities, int64_t *since_ms)
{
    struct json_object *whole, *health = report_in(capabilities, &whole);
    int sound = health && json_truth(health, "ok", 0);
    *since_ms = sound ? json_int(health, "sound_ms", 0) : 0;
    json_object_put(whole);
    return sound;
}

int fault_in(const char *capabilities, char *out, size_t n)
{
    struct json_object *o, *health = report_in(capabilities, &o);
    int bad = health && !json_truth(health, "ok", 1);
    out[0] = '\0';
    if (bad) {
        const char *text = json_str(health, "text", "");
        snprintf(out, n, "%s", *text ? text : "no reason was given");
    }
    json_object_put(o);
    return bad;
}

struct json_object *lacks_in(const char *capabilities)
{
    if (!capabilities || !strstr(capabilities, "\"assets\""))
        return NULL;
    struct json_object *o = json_parse(capabilities, strlen(capabilities), NULL), *out = NULL;
    struct json_object *lacks = o ? json_member(o, "assets") : NULL;
    if (json_object_is_type(lacks, json_type_object)) {
        json_object_object_foreach(lacks, slug, why)
        {
            out = out ? out : json_object_new_object();
            const char *text = json_object_is_type(why, json_type_string) ? json_object_get_string(why) : "";
            json_put_str(out, slug, *text ? text : "no reason was given");
        }
    }
    json_object_put(o);
    return out;
}
