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
static const char *const expired[] = {
    "ExpiredToken",         "ExpiredTokenException",       "RequestExpired",     "InvalidToken",
    "InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", NULL};
static const char *const skewed[] = {"RequestTimeTooSkewed", "RequestInTheFuture", "RequestExpired", NULL};
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

/* "aws.protocoltests#Code:http://..." is Code. */
static void set_json_code(struct reply *r, const char *code)
{
    const char *hash = strrchr(code, '#');
    set(r->error.code, sizeof r->error.code, hash ? hash + 1 : code);
    r->error.code[strcspn(r->error.code, ":")] = '\0';
}

static void read_json(struct reply *r, const struct http_response *h)
{
    char type[256];
    const char *code = http_header(h, "x-amzn-errortype", type, sizeof type);
    static const char *const names[] = {"message", "Message", "errorMessage"};
    if (!code || !code[0])
        code = text_of(r->json, "__type");
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
    int skew = is_one_of(e->code, skewed);
    e->throttled = is_one_of(e->code, throttled) || r->status == 429;
    e->expired = !skew && is_one_of(e->code, expired);
    e->denied = is_one_of(e->code, denied) || (!e->expired && !skew && (r->status == 403 || r->status == 401));
    e->retryable =
        e->throttled || r->status >= 500 || is_one_of(e->code, passing) || (r->status >= 200 && r->status < 300);
}

int client_error_is_skew(const struct reply *r)
{
    const struct aws_error *e = &r->error;
    return is_one_of(e->code, skewed) ||
           (strstr(e->message, "Signature expired") != NULL || strstr(e->message, "not yet current") != NULL);
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

static void remedy(const struct client *c, const struct call *call, const struct reply *r, int rc, char *out, size_t n)
{
    const char *iam = aws_ops[call->op].iam;
    if (r->error.expired)
        snprintf(out, n, "; renew the credentials (%.60s)", creds_source(c->aws->credentials));
    else if (rc == BP_DENIED && iam[0])
        snprintf(out, n, "; allow %.80s to %.60s", iam, creds_source(c->aws->credentials));
    else if (strcmp(r->error.code, "NoSuchBucket") == 0)
        snprintf(out, n, "; make the bucket, or correct plugin.aws.bucket");
    else if (client_error_is_skew(r))
        snprintf(out, n, "; set the clock of this machine");
    else
        *out = '\0';
}

int client_error_tell(const struct client *c, const struct call *call, const struct reply *r, int rc,
                      struct bp_err *err)
{
    char help[200];
    const struct aws_error *e = &r->error;
    remedy(c, call, r, rc, help, sizeof help);
    if (!e->code[0])
        return err_set(err, rc, "%s of %.90s failed: status %d%s", aws_op_name(call->op), call->what, r->status, help);
    return err_set(err, rc, "%s of %.80s failed: %.40s%s%.*s%s", aws_op_name(call->op), call->what, e->code,
                   e->message[0] ? ": " : "", help[0] ? 40 : 90, e->message, help);
}
