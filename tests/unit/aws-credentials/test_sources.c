/* SPDX-License-Identifier: Apache-2.0 */
/* Each source by itself: what it asks, of a server by script or a program that is really run, and what it takes for an
 * answer. */
#include "client.h"
#include "cm.h"
#include "credentials_priv.h"
#include "http.h"
#include "imds.h"
#include "rig.h"
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECRET "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"

static struct aws_creds got;
static struct bp_err said;
static char answers[8][2048];

static const char *says(int i, const char *status, const char *body)
{
    snprintf(answers[i], sizeof answers[i], "HTTP/1.1 %s\r\nDate: %%DATE%%\r\nContent-Length: %zu\r\n\r\n%s", status,
             strlen(body), body);
    return answers[i];
}

static const char *when(int64_t seconds)
{
    static char text[40];
    time_t t = time(NULL) + seconds;
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime(&t));
    return text;
}

static const char *set(int i, const char *id, const char *token)
{
    char body[600];
    snprintf(body, sizeof body,
             "{\"Code\":\"Success\",\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"" SECRET
             "\",\"%s\":\"tok\",\"Expiration\":\"%s\"}",
             id, token, when(3600));
    return says(i, "200 OK", body);
}

static const char *sts(int i, const char *op, const char *id)
{
    char body[800];
    snprintf(
        body, sizeof body,
        "<%sResponse xmlns=\"https://sts\"><%sResult><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>" SECRET
        "</SecretAccessKey><SessionToken>tok</SessionToken><Expiration>%s</Expiration></Credentials></%sResult></"
        "%sResponse>",
        op, op, id, when(3600), op, op);
    return says(i, "200 OK", body);
}

/* Opens everything over a server of that script; PORT in a value of env (name, value, ..., NULL) is its port. */
static void open_rig(const char *config, const struct step *steps, int n, const char *const *env)
{
    char text[300], settings[200];
    const struct http_settings h = {3000, 2000, 20000, NULL, 65536};
    struct bp_err err = {0};
    int port = steps ? server_start(steps, n, 0) : 1;
    snprintf(settings, sizeof settings,
             "{\"region\":\"eu-central-1\",\"retryBaseMilliseconds\":1,\"endpoint\":\"http://127.0.0.1:%d\","
             "\"credentialProcessSeconds\":2,\"_bpd\":{\"stage\":\"prod\",\"instance_id\":\"i-0a b\"}}",
             port);
    rig_open(settings, config, NULL);
    for (; env && *env; env += 2) {
        const char *at = strstr(env[1], "PORT");
        if (at)
            snprintf(text, sizeof text, "%.*s%d%s", (int)(at - env[1]), env[1], port, at + 4);
        else
            snprintf(text, sizeof text, "%s", env[1]);
        setenv(env[0], text, 1);
    }
    settings_close(&rig.settings);
    assert_int_equal(settings_open(&rig.settings, settings, &err), 0);
    assert_non_null(rig.http = http_open(&h, &err));
    assert_non_null(rig.imds = imds_open(&rig, &err));
    assert_non_null(rig.credentials = creds_open(&rig, &err));
    assert_non_null(rig.client = client_open(&rig, &err));
}

static int ask(void)
{
    memset(&got, 0, sizeof got);
    memset(&said, 0, sizeof said);
    return creds_get(rig.credentials, &got, &said);
}

static void end(int serves)
{
    assert_null(strstr(said.text, SECRET));
    assert_null(strstr(rig_logged, SECRET));
    client_close(rig.client);
    creds_close(rig.credentials);
    imds_close(rig.imds);
    http_close(rig.http);
    if (serves)
        server_stop();
    rig_close();
}

static void expect(int rc, const char *words)
{
    int was = ask();
    if (was != rc || !strstr(said.text, words))
        fail_msg("%d \"%s\" is not %d \"%s\"", was, said.text, rc, words);
}

/* ---- programs ---- */

/* The words with '|' between, "-" when it is refused. */
static const char *words(const char *text)
{
    static char joined[200];
    char line[200];
    char *w[8];
    size_t at = 0;
    snprintf(line, sizeof line, "%s", text);
    int n = process_words(line, w, 8);
    snprintf(joined, sizeof joined, "%s", n < 0 ? "-" : "");
    for (int i = 0; i < n; i++)
        at += (size_t)snprintf(joined + at, sizeof joined - at, "%s%s", i ? "|" : "", w[i]);
    return joined;
}

static void command_lines_are_split_without_a_shell(void **state)
{
    (void)state;
    assert_string_equal(words("/bin/a  b\tc"), "/bin/a|b|c");
    assert_string_equal(words("a 'b c' \"d \\\" e\" f\\ g"), "a|b c|d \" e|f g");
    assert_string_equal(words("a '' x'y z'w $HOME;`id`"), "a||xy zw|$HOME;`id`");
    assert_string_equal(words("'a"), "-");
    assert_string_equal(words("   "), "-");
    assert_string_equal(words("1 2 3 4 5 6 7 8"), "1|2|3|4|5|6|7|8");
    assert_string_equal(words("1 2 3 4 5 6 7 8 9"), "-");
}

static void open_process(const char *script)
{
    char config[400];
    rig_open("{}", NULL, NULL); /* for its directory */
    char path[160];
    snprintf(path, sizeof path, "/tmp/bpd-process-%d", (int)getpid());
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "#!/bin/sh\n%s\n", script);
    fclose(f);
    rig_close();
    snprintf(config, sizeof config, "[default]\ncredential_process = /bin/sh %s 'one two' \"three\"\n", path);
    open_rig(config, NULL, 0, NULL);
}

static void end_process(void)
{
    char path[160];
    snprintf(path, sizeof path, "/tmp/bpd-process-%d", (int)getpid());
    end(0);
    unlink(path);
}

static void a_program_gives_a_set(void **state)
{
    (void)state;
    open_process("[ \"$1\" = 'one two' ] && [ \"$2\" = three ] && [ ! -t 0 ] && [ \"$(ls /proc/self/fd | wc -l)\" -le "
                 "4 ] || exit 9\n"
                 "echo secret >&2\n"
                 "printf '{\"Version\":1,\"AccessKeyId\":\"AKIAP\",\"SecretAccessKey\":\"" SECRET
                 "\",\"SessionToken\":\"t\","
                 "\"Expiration\":\"2099-01-01T02:00:00.5+02:00\"}'");
    expect(0, "");
    assert_string_equal(got.key_id, "AKIAP");
    assert_string_equal(got.token, "t");
    assert_true(got.expires_ms == 4070908800000LL);
    assert_string_equal(got.source, "credential_process of profile default");
    end_process();
}

static void programs_that_do_not_work(void **state)
{
    (void)state;
    static const struct {
        const char *script, *words;
        int rc;
    } rows[] = {
        {"exit 3", "ended with status 3; run it by hand", BP_DENIED},
        {"kill -9 $$", "was ended by signal 9", BP_DENIED},
        {"sleep 60 & sleep 60", "did not end within 2 s and was killed", BP_LATER},
        {"exec >&-; sleep 60", "did not end within 2 s and was killed", BP_LATER},
        {"yes '" SECRET "'", "prints more than 65536 bytes", BP_DENIED},
        {"echo '" SECRET "'", "prints no JSON object with \"Version\": 1", BP_DENIED},
        {"echo '{\"Version\":2,\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"" SECRET "\"}'", "\"Version\": 1",
         BP_DENIED},
        {"echo '{\"Version\":1,\"AccessKeyId\":\"a\"}'", "has no SecretAccessKey", BP_DENIED},
        {"echo '{\"Version\":1,\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"" SECRET "\",\"Expiration\":\"soon\"}'",
         "Expiration in its answer is no time", BP_DENIED},
        {"echo '{\"Version\":1,\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"" SECRET
         "\",\"Expiration\":\"2001-01-01T00:00:00Z\"}'",
         "are over already", BP_DENIED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        open_process(rows[i].script);
        expect(rows[i].rc, rows[i].words);
        end_process();
    }
    open_rig("[default]\ncredential_process = /nowhere/at-all\n", NULL, 0, NULL);
    expect(BP_DENIED, "/nowhere/at-all cannot be run");
    end(0);
}

/* ---- the container ---- */

#define FULL "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:PORT/creds?x=1"

static void a_container_gives_a_set(void **state)
{
    (void)state;
    const char *const env[] = {FULL, "AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer abc", NULL};
    const struct step steps[] = {{says(0, "500 Oops", ""), 0}, {set(1, "ASIAC", "Token"), 0}};
    open_rig(NULL, steps, 2, env);
    expect(0, "");
    assert_string_equal(got.key_id, "ASIAC");
    assert_int_equal(server_requests(), 2); /* a failure of theirs is tried again */
    assert_non_null(strstr(server_request(1), "GET /creds?x=1 HTTP/1.1"));
    assert_non_null(strstr(server_request(1), "Authorization: Bearer abc\r\n"));
    end(1);
}

static void the_containers_token_is_read_anew_and_has_one_line(void **state)
{
    (void)state;
    char file[100];
    snprintf(file, sizeof file, "/tmp/bpd-token-%d", (int)getpid());
    const char *const env[] = {FULL, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file, NULL};
    const struct step steps[] = {{set(0, "ASIAC", "Token"), 0}, {set(1, "ASIAD", "Token"), 0}};
    FILE *f = fopen(file, "w");
    fputs("first\n", f);
    fclose(f);
    open_rig(NULL, steps, 2, env);
    expect(0, "");
    f = fopen(file, "w");
    fputs("second", f);
    fclose(f);
    assert_int_equal(creds_refresh(rig.credentials, &got, &said), 0);
    assert_non_null(strstr(server_request(0), "Authorization: first\r\n"));
    assert_non_null(strstr(server_request(1), "Authorization: second\r\n"));
    f = fopen(file, "w");
    fputs("third\r\nX-Evil: 1", f);
    fclose(f);
    expect(0, "");
    assert_int_equal(creds_refresh(rig.credentials, &got, &said), BP_DENIED);
    assert_non_null(strstr(said.text, "more than one line"));
    assert_int_equal(server_requests(), 2);
    end(1);
    unlink(file);
}

static void containers_that_do_not_work(void **state)
{
    (void)state;
    const char *const env[] = {FULL, NULL};
    static const struct {
        const char *status, *body, *words;
        int rc;
    } rows[] = {
        {"403 No", "", "answers with status 403", BP_DENIED},
        {"503 No", "", "answers with status 503", BP_LATER},
        {"200 OK", "<html>", "is no JSON object", BP_DENIED},
        {"200 OK", "[]", "is no JSON object", BP_DENIED},
        {"200 OK", "{\"AccessKeyId\":1}", "has no AccessKeyId", BP_DENIED},
        {"302 Found", "", "answers with status 302", BP_DENIED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct step steps[] = {{says(0, rows[i].status, rows[i].body), 0}};
        open_rig(NULL, steps, 1, env);
        expect(rows[i].rc, rows[i].words);
        end(1);
    }
}

/* ---- roles ---- */

static void a_web_identity_takes_a_role_unsigned(void **state)
{
    (void)state;
    char file[100];
    snprintf(file, sizeof file, "/tmp/bpd-token-%d", (int)getpid());
    const char *const env[] = {"AWS_WEB_IDENTITY_TOKEN_FILE", file, "AWS_ROLE_ARN", "arn:aws:iam::1:role/web", NULL};
    const struct step steps[] = {{sts(0, "AssumeRoleWithWebIdentity", "ASIAW"), 0}};
    FILE *f = fopen(file, "w");
    fputs("jwt.of+it\n", f);
    fclose(f);
    open_rig(NULL, steps, 1, env);
    expect(0, "");
    assert_string_equal(got.key_id, "ASIAW");
    assert_string_equal(got.source, "web identity for role web");
    assert_null(strcasestr(server_request(0), "authorization:"));
    assert_non_null(strstr(server_request_body(0), "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"));
    assert_non_null(strstr(server_request_body(0), "RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fweb"));
    assert_non_null(strstr(server_request_body(0), "RoleSessionName=bpd-prod-i-0a-b"));
    assert_non_null(strstr(server_request_body(0), "WebIdentityToken=jwt.of%2Bit"));
    unlink(file);
    assert_int_equal(creds_refresh(rig.credentials, &got, &said), BP_DENIED);
    assert_non_null(strstr(said.text, "cannot be read"));
    expect(0, ""); /* the old set stays */
    end(1);
}

#define CHAIN                                                                                                          \
    "[default]\nrole_arn=arn:aws:iam::1:role/outer\nsource_profile=mid\nexternal_id=e/1\nduration_seconds=900\n"       \
    "role_session_name=me@there\n"                                                                                     \
    "[profile mid]\nrole_arn=arn:aws:iam::1:role/inner\nsource_profile=keys\n"                                         \
    "[profile keys]\naws_access_key_id=AKIAK\naws_secret_access_key=" SECRET "\n"

static void roles_are_taken_one_by_another(void **state)
{
    (void)state;
    const struct step steps[] = {{sts(0, "AssumeRole", "ASIAI"), 0}, {sts(1, "AssumeRole", "ASIAO"), 0}};
    open_rig(CHAIN, steps, 2, NULL);
    expect(0, "");
    assert_string_equal(got.key_id, "ASIAO");
    assert_string_equal(got.source, "role outer of profile default");
    assert_non_null(strstr(server_request(0), "Credential=AKIAK/"));
    assert_non_null(strstr(server_request(1), "Credential=ASIAI/"));
    assert_non_null(strcasestr(server_request(1), "x-amz-security-token: tok"));
    assert_non_null(strstr(server_request_body(0), "role%2Finner"));
    assert_null(strstr(server_request_body(0), "DurationSeconds"));
    assert_non_null(strstr(server_request_body(1), "RoleSessionName=me%40there&ExternalId=e%2F1&DurationSeconds=900"));
    end(1);
}

static void a_role_that_is_refused_says_who_lacks_what(void **state)
{
    (void)state;
    const struct step steps[] = {
        {sts(0, "AssumeRole", "ASIAI"), 0},
        {says(1, "403 Forbidden",
              "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"),
         0}};
    open_rig(CHAIN, steps, 2, NULL);
    expect(BP_DENIED,
           "sts:AssumeRole of arn:aws:iam::1:role/outer failed: AccessDenied: no; allow sts:AssumeRole to role "
           "inner of profile mid");
    end(1);
    const struct step empty[] = {
        {says(0, "200 OK", "<AssumeRoleResponse><AssumeRoleResult/></AssumeRoleResponse>"), 0}};
    open_rig(CHAIN, empty, 1, NULL);
    expect(BP_INVALID, "holds no whole set of credentials");
    end(1);
}

/* ---- times ---- */

static void times_of_every_form(void **state)
{
    (void)state;
    assert_true(creds_time("2026-01-31T12:00:00Z") == 1769860800000LL);
    assert_true(creds_time("2026-01-31T12:00:00.123456Z") == 1769860800000LL);
    assert_true(creds_time("2026-01-31T12:00:00+00:00") == 1769860800000LL);
    assert_true(creds_time("2026-01-31T13:30:00+01:30") == 1769860800000LL);
    assert_true(creds_time("2026-01-31T04:00:00.5-08:00") == 1769860800000LL);
    static const char *const no[] = {"",
                                     "2026",
                                     "2026-01-31T12:00:00",
                                     "2026-01-31 12:00:00Z",
                                     "2026-13-31T12:00:00Z",
                                     "2026-01-31T12:00:00+1:00",
                                     "2026-01-31T12:00:00Zx"};
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        assert_true(creds_time(no[i]) == -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_lines_are_split_without_a_shell),
        cmocka_unit_test(a_program_gives_a_set),
        cmocka_unit_test(programs_that_do_not_work),
        cmocka_unit_test(a_container_gives_a_set),
        cmocka_unit_test(the_containers_token_is_read_anew_and_has_one_line),
        cmocka_unit_test(containers_that_do_not_work),
        cmocka_unit_test(a_web_identity_takes_a_role_unsigned),
        cmocka_unit_test(roles_are_taken_one_by_another),
        cmocka_unit_test(a_role_that_is_refused_says_who_lacks_what),
        cmocka_unit_test(times_of_every_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
