/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of AWS, of proxies and of nobody in particular: XML and JSON are read within their bounds, every error has
 * one meaning, and its texts end and hold no control characters. The first byte picks the status, the second the
 * protocol. */
#include "client_priv.h"

#include <ctype.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
    if (!ok)
        abort();
}

static void check_text(const char *text, size_t room)
{
    size_t n = strnlen(text, room);
    check(n < room);
    for (size_t i = 0; i < n; i++)
        check((unsigned char)text[i] >= ' ');
}

static void walk(const struct xml *x, int depth)
{
    check(depth < 1000);
    check(xml_name(x)[0] != '\0');
    (void)xml_int(x, "", 0);
    (void)xml_time_ms(x, "");
    check(xml_at(x, "Error/Code") == NULL || xml_text(x, "Error/Code"));
}

static void read_error(struct reply *r, const struct http_response *h)
{
    client_error_read(r, h);
    check_text(r->error.code, sizeof r->error.code);
    check_text(r->error.message, sizeof r->error.message);
    check_text(r->error.request_id, sizeof r->error.request_id);
    int rc = client_error_rc(r);
    check(rc < 0);
    check((rc == BP_LATER) == (r->error.throttled || r->error.retryable));
    check(client_error_is_skew(r) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 301, 400, 401, 403, 404, 409, 412, 429, 500, 503};
    struct reply r = {0};
    struct bp_err err = {0};
    if (size < 2)
        return 0;
    char *body = malloc(size - 1);
    memcpy(body, data + 2, size - 2);
    body[size - 2] = '\0';
    r.status = statuses[data[0] % 11];
    r.body = body;
    r.n_body = size - 2;
    char *line = memchr(body, '\n', size - 2);
    struct http_response h = {.headers = line ? line + 1 : NULL};
    if (data[1] & 1)
        r.json = json_tokener_parse(body);
    else if ((r.xml = xml_parse(body, size - 2, &err)))
        walk(xml_result(r.xml), 0);
    read_error(&r, &h);
    reply_free(&r);
    return 0;
}
