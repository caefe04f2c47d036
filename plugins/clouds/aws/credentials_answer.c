/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_answer.c - sets as JSON and as STS gives them, and what sessions are called. */
#include "credentials_priv.h"

#include "client.h"
#include "err.h"
#include "node_notice.h"
#include "wipe.h"
#include <ctype.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int creds_copy(char *to, size_t size, const char *from)
{
    return from && from[0] && (size_t)snprintf(to, size, "%s", from) < size;
}

/* "+01:30" as milliseconds, 0 for "Z"; *ok 0: neither. */
static int64_t offset_ms(const char *s, int *ok)
{
    *ok = strcmp(s, "Z") == 0 || strcmp(s, "z") == 0;
    if (*ok)
        return 0;
    *ok = strlen(s) == 6 && (s[0] == '+' || s[0] == '-') && isdigit((unsigned char)s[1]) &&
          isdigit((unsigned char)s[2]) && s[3] == ':' && isdigit((unsigned char)s[4]) && isdigit((unsigned char)s[5]);
    if (!*ok)
        return 0;
    int64_t ms = ((s[1] - '0') * 600 + (s[2] - '0') * 60 + (s[4] - '0') * 10 + (s[5] - '0')) * 60000LL;
    return s[0] == '-' ? -ms : ms;
}

int64_t creds_time(const char *text)
{
    char plain[21];
    int ok = 0;
    if (strlen(text) < 20)
        return -1;
    snprintf(plain, sizeof plain, "%.19sZ", text);
    const char *rest = text + 19;
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    int64_t off = offset_ms(rest, &ok), ms = notice_time(plain, 20);
    return ok && ms >= 0 && ms - off >= 0 ? ms - off : -1;
}

static const char *text_of(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    json_object_object_get_ex(o, name, &v);
    return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
}

static int read_members(struct json_object *o, const char *token, struct aws_creds *out, struct bp_err *err)
{
    const char *end = text_of(o, "Expiration"), *session = text_of(o, token);
    if (!creds_copy(out->key_id, sizeof out->key_id, text_of(o, "AccessKeyId")))
        return err_set(err, BP_INVALID, "its answer has no AccessKeyId");
    if (!creds_copy(out->secret, sizeof out->secret, text_of(o, "SecretAccessKey")))
        return err_set(err, BP_INVALID, "its answer has no SecretAccessKey");
    if (session && session[0] && !creds_copy(out->token, sizeof out->token, session))
        return err_set(err, BP_INVALID, "the %s in its answer is longer than %zu bytes", token, sizeof out->token - 1);
    out->expires_ms = end && end[0] ? creds_time(end) : 0;
    return out->expires_ms < 0 ? err_set(err, BP_INVALID, "the Expiration in its answer is no time") : 0;
}

int creds_from_json(const char *text, const char *token, struct aws_creds *out, struct bp_err *err)
{
    struct json_object *o = json_tokener_parse(text);
    int rc = json_object_is_type(o, json_type_object) ? read_members(o, token, out, err)
                                                      : err_set(err, BP_INVALID, "its answer is no JSON object");
    json_wipe(o);
    json_object_put(o);
    if (rc < 0)
        explicit_bzero(out, sizeof *out);
    return rc;
}

int creds_from_sts(const struct reply *r, struct aws_creds *out, struct bp_err *err)
{
    const struct xml *c = xml_at(xml_result(r->xml), "Credentials");
    const char *end = xml_text(c, "Expiration");
    out->expires_ms = end[0] ? creds_time(end) : -1;
    if (creds_copy(out->key_id, sizeof out->key_id, xml_text(c, "AccessKeyId")) &&
        creds_copy(out->secret, sizeof out->secret, xml_text(c, "SecretAccessKey")) &&
        creds_copy(out->token, sizeof out->token, xml_text(c, "SessionToken")) && out->expires_ms > 0)
        return 0;
    explicit_bzero(out, sizeof *out);
    return err_set(err, BP_INVALID, "the answer of STS holds no whole set of credentials; is the endpoint AWS's?");
}

int creds_session_name_ok(const char *name)
{
    size_t n = strlen(name);
    return n >= 2 && n <= 64 &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+=,.@-") == n;
}

void creds_session_name(const struct aws *a, char out[65])
{
    char host[65] = "";
    const char *who = a->settings.instance_id;
    if (!who || !who[0]) {
        gethostname(host, sizeof host - 1);
        who = host[0] ? host : "controller";
    }
    snprintf(out, 65, "bpd-%.20s-%.39s", a->settings.stage, who);
    for (char *c = out; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_+=,.@-", *c))
            *c = '-';
}
