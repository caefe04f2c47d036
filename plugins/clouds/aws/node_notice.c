/* SPDX-License-Identifier: Apache-2.0 */
#include "node_notice.h"

#include <ctype.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX  4096
#define DEPTH_MAX 4

static void trim(const char **text, size_t *n)
{
    while (*n && isspace((unsigned char)**text))
        (*text)++, (*n)--;
    while (*n && isspace((unsigned char)(*text)[*n - 1]))
        (*n)--;
}

/* Days since 1970 of a day of the Gregorian calendar: years begin in March, so that a leap day is a year's last. */
static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    int64_t era = y / 400, year = y - era * 400;
    int64_t day = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + year * 365 + year / 4 - year / 100 + day - 719468;
}

static int month_days(int y, int m)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    return days[m - 1] + (m == 2 && leap);
}

/* "dddd-dd-ddTdd:dd:ddZ": the six numbers, or 0. */
static int read_numbers(const char *text, int out[6])
{
    static const char form[] = "0000-00-00T00:00:00Z";
    int field = 0;
    memset(out, 0, 6 * sizeof *out);
    for (size_t i = 0; i < sizeof form - 1; i++) {
        int digit = isdigit((unsigned char)text[i]) != 0;
        if (form[i] == '0' ? !digit : text[i] != form[i])
            return 0;
        if (digit)
            out[field] = out[field] * 10 + text[i] - '0';
        else
            field++;
    }
    return 1;
}

int64_t notice_time(const char *text, size_t n)
{
    int v[6];
    trim(&text, &n);
    if (n != 20 || !read_numbers(text, v))
        return -1;
    if (v[0] < 1970 || v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > month_days(v[0], v[1]) || v[3] > 23 || v[4] > 59 ||
        v[5] > 60)
        return -1;
    return (((days_of(v[0], v[1], v[2]) * 24 + v[3]) * 60 + v[4]) * 60 + v[5]) * 1000;
}

/* The one JSON object that the body is, or NULL. json_object_put() it. */
static struct json_object *read_object(const char *body, size_t n)
{
    trim(&body, &n);
    if (n == 0 || n > BODY_MAX)
        return NULL;
    struct json_tokener *t = json_tokener_new_ex(DEPTH_MAX);
    if (!t)
        return NULL;
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *o = json_tokener_parse_ex(t, body, (int)n);
    int whole = json_tokener_get_error(t) == json_tokener_success && json_tokener_get_parse_end(t) == n;
    json_tokener_free(t);
    if (whole && json_object_is_type(o, json_type_object))
        return o;
    json_object_put(o);
    return NULL;
}

static const char *text_member(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    json_object_object_get_ex(o, name, &v);
    if (!json_object_is_type(v, json_type_string))
        return "";
    const char *text = json_object_get_string(v);
    return strlen(text) == (size_t)json_object_get_string_len(v) ? text : "";
}

static int64_t time_member(struct json_object *o, const char *name)
{
    const char *text = text_member(o, name);
    return notice_time(text, strlen(text));
}

int notice_action(const char *body, size_t n, int64_t *at_ms)
{
    struct json_object *o = read_object(body, n);
    const char *action = text_member(o, "action");
    int known = strcmp(action, "terminate") == 0 || strcmp(action, "stop") == 0 || strcmp(action, "hibernate") == 0;
    int64_t at = time_member(o, "time");
    json_object_put(o);
    if (!known || at < 0)
        return 0;
    *at_ms = at;
    return 1;
}

int notice_rebalance(const char *body, size_t n, int64_t *at_ms)
{
    struct json_object *o = read_object(body, n);
    int64_t at = time_member(o, "noticeTime");
    json_object_put(o);
    if (at < 0)
        return 0;
    *at_ms = at;
    return 1;
}

int notice_target_ends(const char *body, size_t n)
{
    static const char word[] = "Terminated";
    trim(&body, &n);
    return n == sizeof word - 1 && memcmp(body, word, n) == 0;
}
