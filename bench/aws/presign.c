/* SPDX-License-Identifier: Apache-2.0 */
/* Signed URLs a second of CPU time on one core: bench/aws_presign [URLS]. Fails below the 20,000 that are promised. */
#include "client_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PROMISED 20000

static void host_log(struct bp_self *self, int32_t level, const char *fmt, ...) BP_PRINTF(3, 4);

static void host_log(struct bp_self *self, int32_t level, const char *fmt, ...)
{
    (void)self, (void)level, (void)fmt;
}

static int64_t host_now(struct bp_self *self)
{
    struct timespec t;
    (void)self;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void *host_alloc(size_t n)
{
    return calloc(1, n);
}

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int sign_many(struct aws *a, long n, struct bp_err *err)
{
    static const char *const pinned[] = {"Content-Type: video/mp4", NULL};
    char key[96];
    for (long i = 0; i < n; i++) {
        char *url;
        snprintf(key, sizeof key, "production/jobs/%ld/attempt-1/output file.mp4", i);
        const struct s3_request q = {
            .method = i % 2 ? "PUT" : "GET", .bucket = "media", .key = key, .headers = i % 2 ? pinned : NULL};
        int rc = client_presign(a->client, &q, 3600, &url, NULL, err);
        if (rc < 0)
            return rc;
        free(url);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct bp_host host = {.size = sizeof host,
                                        .abi = BP_ABI_VERSION,
                                        .log = host_log,
                                        .now_ms = host_now,
                                        .alloc = host_alloc,
                                        .free = free};
    long n = argc > 1 ? strtol(argv[1], NULL, 10) : 100000;
    struct aws a = {.host = &host};
    struct bp_err err = {0};
    char token[1024];
    memset(token, 'T', sizeof token - 1);
    token[sizeof token - 1] = '\0';
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    setenv("AWS_SESSION_TOKEN", token, 1); /* as of a role: it is in every URL */
    int ok = settings_open(&a.settings, "{\"region\":\"eu-central-1\"}", &err) == 0 &&
             (a.credentials = creds_open(&a, &err)) && (a.client = client_open(&a, &err));
    if (ok)
        a.client->bucket_sought = 1; /* there is no network here */
    double begin = cpu_s();
    ok = ok && sign_many(&a, n, &err) == 0;
    double rate = (double)n / (cpu_s() - begin);
    if (ok)
        printf("presign %ld URLs with a session token of 1 KiB: %.0f a second of CPU (promised: %d)\n", n, rate,
               PROMISED);
    else
        fprintf(stderr, "presign: %s\n", err.text);
    client_close(a.client);
    creds_close(a.credentials);
    settings_close(&a.settings);
    return ok && rate >= PROMISED ? 0 : 1;
}
