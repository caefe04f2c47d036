/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_web.c - a role by a web identity: a token that someone else keeps fresh in a file, as EKS does. */
#include "credentials_priv.h"

#include "client.h"
#include "err.h"
#include "form.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOKEN_MAX 20000 /* STS takes no longer one */

struct web {
    struct source base;
    char token_file[1024], role_arn[512], session_name[65];
    int duration_s;
};

/* Read anew each time: whoever writes it replaces it. */
static int read_token(const struct web *w, char out[TOKEN_MAX + 2], struct bp_err *err)
{
    int fd = open(w->token_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, out, TOKEN_MAX + 1);
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return err_set(err, BP_DENIED, "the web identity's token %.150s cannot be read: %s", w->token_file,
                       strerror(why));
    out[n] = '\0';
    while (n > 0 && (unsigned char)out[n - 1] <= ' ')
        out[--n] = '\0';
    if (n < 4 || n > TOKEN_MAX || strlen(out) != (size_t)n)
        return err_set(err, BP_DENIED, "%.170s holds no web identity's token", w->token_file);
    return 0;
}

static int ask(struct web *w, const char *token, struct aws_creds *out, struct bp_err *err)
{
    struct reply r = {0};
    char what[200];
    struct form *f = form_new();
    if (!f)
        return err_set(err, BP_NOMEM, "no memory to take the role %.150s", w->role_arn);
    form_put(f, w->role_arn, "RoleArn");
    form_put(f, w->session_name, "RoleSessionName");
    form_put(f, token, "WebIdentityToken");
    if (w->duration_s)
        form_put_int(f, w->duration_s, "DurationSeconds");
    snprintf(what, sizeof what, "%.190s", w->role_arn);
    int rc = client_query_as(w->base.aws->client, AWS_OP_STS_ASSUME_ROLE_WITH_WEB_IDENTITY, f, what, NULL, &r, err);
    if (rc == 0)
        rc = creds_from_sts(&r, out, err);
    form_wipe(f);
    form_free(f);
    reply_wipe(&r);
    return rc;
}

static int fetch(struct source *s, struct aws_creds *out, struct bp_err *err)
{
    char token[TOKEN_MAX + 2];
    struct web *w = (struct web *)s;
    int rc = read_token(w, token, err);
    if (rc == 0)
        rc = ask(w, token, out, err);
    explicit_bzero(token, sizeof token);
    return rc;
}

static void close_source(struct source *s)
{
    free(s);
}

static int take_spec(struct web *w, const struct web_spec *spec, struct bp_err *err)
{
    if (!spec->role_arn || !spec->role_arn[0])
        return err_set(err, BP_DENIED, "%.60s names a web identity's token, but no role; set AWS_ROLE_ARN or role_arn",
                       spec->from);
    if (!creds_copy(w->token_file, sizeof w->token_file, spec->token_file) ||
        !creds_copy(w->role_arn, sizeof w->role_arn, spec->role_arn))
        return err_set(err, BP_DENIED, "the token's file or the role of %.60s is too long a name", spec->from);
    creds_session_name(w->base.aws, w->session_name);
    if (spec->session_name && spec->session_name[0]) {
        if (!creds_session_name_ok(spec->session_name))
            return err_set(err, BP_DENIED, "the session name of %.60s must be 2 to 64 of A-Z a-z 0-9 _+=,.@-",
                           spec->from);
        snprintf(w->session_name, sizeof w->session_name, "%s", spec->session_name);
    }
    w->duration_s = spec->duration_s;
    return 0;
}

struct source *web_source_new(struct aws *a, const struct web_spec *spec, struct bp_err *err)
{
    struct web *w = source_new(a, sizeof *w, err);
    if (!w)
        return NULL;
    w->base.fetch = fetch;
    w->base.close = close_source;
    w->base.remedy = "let the role trust the identity's provider, and see that its token's file is there and fresh";
    if (take_spec(w, spec, err) < 0) {
        free(w);
        return NULL;
    }
    snprintf(w->base.name, sizeof w->base.name, "web identity for role %.66s",
             strrchr(w->role_arn, '/') ? strrchr(w->role_arn, '/') + 1 : w->role_arn);
    return &w->base;
}

struct source *web_source(struct aws *a, struct bp_err *err)
{
    const char *file = getenv("AWS_WEB_IDENTITY_TOKEN_FILE");
    if (!file || !file[0])
        return NULL;
    const struct web_spec w = {.token_file = file,
                               .role_arn = getenv("AWS_ROLE_ARN"),
                               .session_name = getenv("AWS_ROLE_SESSION_NAME"),
                               .from = "AWS_WEB_IDENTITY_TOKEN_FILE"};
    return web_source_new(a, &w, err);
}
