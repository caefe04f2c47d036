/* SPDX-License-Identifier: Apache-2.0 */
/* rule_words.c - what narrows or replaces a fleet's policy: an operator's rules, open windows, an adoption, a shadow.
 */
#include "words/facts.h"

#include "log/json.h"
#include <string.h>

static struct json_object *list_of(struct json_object *o, const char *name, size_t *n)
{
    struct json_object *list = json_member(o, name);
    *n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    return list;
}

static void rule_line(struct json_object *o, struct json_object *rule)
{
    const char *name = json_str(rule, "rule", ""), *by = json_str(rule, "by", "an operator");
    int64_t until_ms = json_int(rule, "until_ms", 0);
    const char *end = until_ms ? ", until then" : ", until bpctl scale resume";
    if (strcmp(name, "min") == 0 || strcmp(name, "max") == 0)
        explain_line(o, until_ms, "rule", "at %s %lld by %s%s", strcmp(name, "min") == 0 ? "least" : "most",
                     (long long)json_int(rule, "value", 0), by, end);
    else
        explain_line(o, until_ms, "rule", "%s is paused by %s%s",
                     strcmp(name, "pause-in") == 0 ? "scale-in" : "scale-out", by, end);
}

static void window_line(struct json_object *o, struct json_object *w)
{
    int64_t min = json_int(w, "min", -1), max = json_int(w, "max", -1);
    const char *policy = json_str(w, "policy", NULL);
    struct json_object *said = json_object_new_object();
    if (!json_truth(w, "open", 0)) {
        json_object_put(said);
        return;
    }
    if (min >= 0)
        json_put_int(said, "min", min);
    if (max >= 0)
        json_put_int(said, "max", max);
    if (policy)
        json_put_str(said, "policy", policy);
    explain_line(o, json_int(w, "open_until_ms", 0), "window",
                 "the window \"%s\" of the schedule is open until then: %s", json_str(w, "cron", ""), json_text(said));
    json_object_put(said);
}

void explain_rule_lines(struct json_object *o, struct json_object *scale)
{
    size_t n;
    struct json_object *list = list_of(scale, "rules", &n), *shadow = json_member(scale, "shadow");
    const char *adopted = json_str(scale, "adopted", NULL);
    for (size_t i = 0; i < n; i++)
        rule_line(o, json_object_array_get_idx(list, i));
    list = list_of(scale, "schedule", &n);
    for (size_t i = 0; i < n; i++)
        window_line(o, json_object_array_get_idx(list, i));
    if (json_int(scale, "offences", 0) > 0 && strcmp(json_str(scale, "configured", ""), "plugin") == 0)
        explain_line(o, 0, "offences",
                     "the plugin's own policy has misbehaved %lld times%s; the log says how, another version of the "
                     "plugin begins anew",
                     (long long)json_int(scale, "offences", 0),
                     strcmp(json_str(scale, "policy", ""), "plugin") == 0 ? "" : ", and another one decides for it");
    if (adopted)
        explain_line(o, 0, "adopted",
                     "an operator let %s decide, whatever the settings name; bpctl scale disown ends it", adopted);
    if (shadow)
        explain_line(o, json_int(shadow, "since_ms", 0), "shadow",
                     "%s runs beside it since then and would have %lld: %s; in thought its J is %.2f h, that of what "
                     "decides %.2f h",
                     json_str(shadow, "policy", ""), (long long)json_int(shadow, "desired", 0),
                     json_str(shadow, "reason", ""), json_num(json_member(shadow, "modelled"), "j", 0),
                     json_num(json_member(shadow, "live_modelled"), "j", 0));
}
