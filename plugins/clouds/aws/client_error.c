/* SPDX-License-Identifier: Apache-2.0 */
/* client_error.c - the errors of four protocols in one shape, and what each means. */
#include "client_priv.h"

#include "err.h"
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const throttled[] = {"Throttling",
                                        "ThrottlingException",
                                        "ThrottledException",
                                        "RequestThrottled",
                                        "RequestThrottledException",
                                        "RequestLimitExceeded",
                                        "TooManyRequestsException",
                                        "SlowDown",
                                        "BandwidthLimitExceeded",
                                        "ProvisionedThroughputExceededException",
                                        "PriorRequestNotComplete",
                                        "TransactionInProgressException",
                                        "EC2ThrottledException",
                                        "LimitExceededException",
                                        NULL};
static const char *const expired[] = {"ExpiredToken",       "ExpiredTokenException", "RequestExpired",
                                      "InvalidToken",       "InvalidClientTokenId",  "UnrecognizedClientException",
                                      "InvalidAccessKeyId", "TokenRefreshRequired",  NULL};
static const char *const skewed[] = {"RequestTimeTooSkewed", "RequestInTheFuture", "RequestExpired", NULL};
/* Said of a wrong clock too, and of a wrong secret. */
static const char *const unsure[] = {"SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure", NULL};
static const char *const denied[] = {"AccessDenied",
                                     "AccessDeniedException",
                                     "UnauthorizedOperation",
                                     "AuthFailure",
                                     "AuthorizationError",
                                     "AllAccessDisabled",
                                     "SignatureDoesNotMatch",
                                     "InvalidSignatureException",
                                     "OptInRequired",
                                     "MissingAuthenticationToken",
                                     NULL};
static const char *const gone[] = {"NoSuchKey",
                                   "NoSuchBucket",
                                   "NoSuchUpload",
                                   "NotFound",
                                   "NotFoundException",
                                   "ParameterNotFound",
                                   "ResourceNotFoundException",
                                   "ResourceNotFound",
                                   NULL};
static const char *const conflict[] = {"PreconditionFailed",
                                       "ConditionalRequestConflict",
                                       "AlreadyExists",
                                       "AlreadyExistsFault",
                                       "ResourceAlreadyExistsException",
                                       "ParameterAlreadyExists",
                                       "OperationAborted",
                                       "ScalingActivityInProgress",
                                       "ResourceInUse",
                                       NULL};
static const char *const elsewhere[] = {"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed",
                                        "IllegalLocationConstraintException", NULL};
static const char *const passing[] = {
    "RequestTimeout",        "RequestTimeoutException", "InternalError",       "InternalFailure", "ServiceUnavailable",
    "IDPCommunicationError", "ResourceContention",      "InternalServerError", "Unavailable",     NULL};

static int is_one_of(const char *code, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(*list, code) == 0)
            return 1;
    return 0;
}

static void set(char *to, size_t size, const char *from)
{
    size_t n = 0;
    for (; *from && n + 1 < size; from++)
        to[n++] = (unsigned char)*from < ' ' ? ' ' : *from;
    to[n] = '\0';
}

static void read_xml(struct reply *r)
{
    const struct xml *e = xml_at(r->xml, "Error");
    if (!e)
        e = xml_at(r->xml, "Errors/Error");
    if (!e && r->xml && strcmp(xml_name(r->xml), "Error") == 0)
        e = r->xml;
    set(r->error.code, sizeof r->error.code, xml_text(e, "Code"));
    set(r->error.message, sizeof r->error.message, xml_text(e, "Message"));
    const char *id = xml_text(r->xml, "RequestId");
    set(r->error.request_id, sizeof r->error.request_id, id[0] ? id : xml_text(r->xml, "RequestID"));
}

static const char *text_of(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    if (json_object_is_type(o, json_type_object))
        json_object_object_get_ex(o, name, &v);
    return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
}

/* "com.example.service#Code:http://..." is Code. */
static void set_json_code(struct reply *r, const char *code)
{
    size_t n = strcspn(code, ":");
    for (size_t i = 0; i < n; i++)
        if (code[i] == '#') {
            code += i + 1;
            n -= i + 1;
            i = (size_t)-1;
        }
    set(r->error.code, n + 1 < sizeof r->error.code ? n + 1 : sizeof r->error.code, code);
}

/* A service that once spoke query keeps its old codes in a header: "Code;Sender". */
static int has_query_code(struct reply *r, const struct http_response *h)
{
    char old[128];
    if (!http_header(h, "x-amzn-query-error", old, sizeof old) || !old[0] || old[0] == ';')
        return 0;
    set(r->error.code, sizeof r->error.code, old);
    r->error.code[strcspn(r->error.code, ";")] = '\0';
    return 1;
}

static void read_json(struct reply *r, const struct http_response *h)
{
    char type[256];
    const char *code = http_header(h, "x-amzn-errortype", type, sizeof type);
    static const char *const names[] = {"message", "Message", "errorMessage"};
    if (!code || !code[0])
        code = text_of(r->json, "__type");
    if (!has_query_code(r, h))
        set_json_code(r, code[0] ? code : text_of(r->json, "code"));
    for (size_t i = 0; i < 3 && !r->error.message[0]; i++)
        set(r->error.message, sizeof r->error.message, text_of(r->json, names[i]));
}

void client_error_read(struct reply *r, const struct http_response *h)
{
    struct aws_error *e = &r->error;
    e->http_status = r->status;
    if (r->xml)
        read_xml(r);
    else
        read_json(r, h);
    if (!e->request_id[0])
        set(e->request_id, sizeof e->request_id, r->request_id);
    e->throttled = is_one_of(e->code, throttled) || r->status == 429;
    e->expired = is_one_of(e->code, expired);
    e->denied = is_one_of(e->code, denied) || (!e->expired && !e->throttled && (r->status == 403 || r->status == 401));
    e->retryable =
        e->throttled || r->status >= 500 || is_one_of(e->code, passing) || (r->status >= 200 && r->status < 300);
}

int client_error_is_skew(const struct reply *r)
{
    const struct aws_error *e = &r->error;
    if (is_one_of(e->code, skewed) || strstr(e->message, "Signature expired") || strstr(e->message, "not yet current"))
        return 2;
    int bodiless = !e->code[0] && (r->status == 400 || r->status == 401 || r->status == 403);
    return bodiless || is_one_of(e->code, unsure);
}

int client_error_rc(const struct reply *r)
{
    const struct aws_error *e = &r->error;
    if (e->throttled || e->retryable || r->status == 0)
        return BP_LATER;
    if (e->denied || e->expired)
        return BP_DENIED;
    if (is_one_of(e->code, gone) || (r->status == 404 && !e->code[0]))
        return BP_NOTFOUND;
    if (is_one_of(e->code, conflict) || r->status == 412 || r->status == 409)
        return BP_CONFLICT;
    return r->status == 404 ? BP_NOTFOUND : r->status >= 400 && r->status < 500 ? BP_INVALID : BP_FAIL;
}

/* The bucket is there, but not here. */
static int is_elsewhere(const struct client *c, const struct reply *r)
{
    return is_one_of(r->error.code, elsewhere) ||
           (r->bucket_region[0] && strcmp(r->bucket_region, c->aws->settings.region) != 0);
}

/* What whoever signed by `source` can do about it. */
static void remedy(const struct client *c, enum aws_op op, const struct reply *r, int rc, const char *source, char *out,
                   size_t n)
{
    const char *iam = c->ops[op].iam;
    *out = '\0';
    if (r->error.expired)
        snprintf(out, n, "renew the credentials (%.60s)", source);
    else if (is_elsewhere(c, r))
        snprintf(out, n, "it is in another region: correct plugin.aws.region%s%s", r->bucket_region[0] ? " to " : "",
                 r->bucket_region);
    else if (client_error_is_skew(r) == 2)
        snprintf(out, n, "set the clock of this machine");
    else if (rc == BP_DENIED && iam[0])
        snprintf(out, n, "allow %.100s to %.60s", iam, source);
    else if (strcmp(r->error.code, "NoSuchBucket") == 0 || (rc == BP_NOTFOUND && op == AWS_OP_S3_HEAD_BUCKET))
        snprintf(out, n, "make the bucket, or correct plugin.aws.bucket");
    else if (!r->error.code[0] && r->body && r->body[0] == '<')
        snprintf(out, n, "that page is not of AWS: is a proxy or a wrong endpoint in the way?");
}

void client_remedy(const struct client *c, enum aws_op op, const struct reply *r, int rc, char *out, size_t n)
{
    remedy(c, op, r, rc, creds_source(c->aws->credentials), out, n);
}

/* What callers ask for to learn that it is not there is no news; a bucket that is not there is. */
static int32_t level_of(const struct call *call, const struct reply *r, int rc)
{
    if (strcmp(r->error.code, "NoSuchBucket") == 0 || call->op == AWS_OP_S3_HEAD_BUCKET || rc == BP_DENIED)
        return BP_LOG_WARN;
    return rc == BP_NOTFOUND || rc == BP_CONFLICT ? BP_LOG_DEBUG : BP_LOG_INFO;
}

int client_error_tell(const struct client *c, const struct call *call, const struct reply *r, int rc,
                      struct bp_err *err)
{
    char help[200], said[128];
    const struct aws_error *e = &r->error;
    remedy(c, call->op, r, rc, call->who ? call->who->source : creds_source(c->aws->credentials), help, sizeof help);
    if (e->code[0])
        snprintf(said, sizeof said, "%.40s%s%.*s", e->code, e->message[0] ? ": " : "", help[0] ? 40 : 80, e->message);
    else
        snprintf(said, sizeof said, "status %d", r->status);
    AWS_LOG(c->aws, level_of(call, r, rc), "%s of %.80s failed at %.100s: status %d, %s, request %s%s%s",
            aws_op_name(call->op), call->what, call->host, r->status, e->code[0] ? e->code : "no code",
            e->request_id[0] ? e->request_id : "unknown", help[0] ? "; " : "", help);
    return err_set(err, rc, "%s of %.80s failed: %s%s%s", aws_op_name(call->op), call->what, said, help[0] ? "; " : "",
                   help);
}

int client_error_tell_lost(const struct call *call, int rc, struct bp_err *err)
{
    char why[sizeof err->text];
    snprintf(why, sizeof why, "%s", err->text);
    return err_set(err, rc, "%s of %.60s got no answer: %s", aws_op_name(call->op), call->what, why);
}
