/* SPDX-License-Identifier: Apache-2.0 */
/* What each queue's answers mean, fed byte by byte: good ones, refusals, and what is no answer at all. */
#include "cm.h"
#include "compare/peers.h"
#include "dispatch/bench.h"
#include <stdlib.h>
#include <string.h>

#define BYTES(s) (s), sizeof(s) - 1

static struct answer a;

struct sample {
    const struct peer *peer;
    struct request q;
    const char *bytes;
    size_t n;
    enum verdict verdict; /* 0: it is no answer */
    int items;
    int64_t id; /* of the last item */
    const char *lease;
};

#define SUBMIT                                                                                                         \
    {                                                                                                                  \
        REQUEST_SUBMIT, 1, 77                                                                                          \
    }
#define LEASE                                                                                                          \
    {                                                                                                                  \
        REQUEST_LEASE, 1, 0                                                                                            \
    }
#define SLEEP                                                                                                          \
    {                                                                                                                  \
        REQUEST_SLEEP, 0, 0                                                                                            \
    }
#define COMPLETE                                                                                                       \
    {                                                                                                                  \
        REQUEST_COMPLETE, 1, 0                                                                                         \
    }
#define THREE(k)                                                                                                       \
    {                                                                                                                  \
        k, 3, 0                                                                                                        \
    }
#define OK            "HTTP/1.1 200 OK\r\n"
#define BODY(n)       "Content-Length: " #n "\r\n\r\n"
#define GEAR(type, n) "\0RES\0\0\0" type "\0\0\0" n

static const struct sample SAMPLES[] = {
    /* bpd, and a PHP backend */
    {&PEER_BPD, SUBMIT, BYTES("HTTP/1.1 201 Created\r\n" BODY(32) "{\"data\":{\"id\":4711,\"a\":\"b\"},\"x\"}"),
     VERDICT_GOOD, 1, 4711, ""},
    {&PEER_PHP, SUBMIT,
     BYTES("HTTP/1.1 201 Created\r\nTransfer-Encoding: "
           "chunked\r\n\r\n9\r\n{\"id\":471\r\nb;x=y\r\n2,\"a\":\"bc\"}\r\n0\r\n\r\n"),
     VERDICT_GOOD, 1, 4712, ""},
    {&PEER_BPD, THREE(REQUEST_SUBMIT), BYTES(OK BODY(33) "{\"id\":1},{\"id\":2},\"refused\": 1  }"), VERDICT_GOOD, 2, 2,
     ""},
    {&PEER_BPD, SUBMIT, BYTES(OK BODY(2) "{}"), VERDICT_BAD, 0, 0, NULL},
    {&PEER_BPD, SUBMIT, BYTES("HTTP/1.1 503 Later\r\nRetry-After: 2\r\n" BODY(2) "{}"), VERDICT_LATER, 0, 0, NULL},
    {&PEER_PHP, SUBMIT, BYTES("HTTP/1.1 500 Oh\r\n" BODY(2) "{}"), VERDICT_BAD, 0, 0, NULL},
    {&PEER_BPD, LEASE, BYTES(OK BODY(13) "{\"job\": null}"), VERDICT_EMPTY, 0, 0, NULL},
    {&PEER_PHP, LEASE, BYTES(OK BODY(39) "{\"dispatch_id\":9,\"lease_token\":\"a-b-c\"}"), VERDICT_GOOD, 1, 9, "a-b-c"},
    {&PEER_BPD, THREE(REQUEST_LEASE),
     BYTES(OK BODY(
         124) "{\"job\":{\"dispatch_id\":5,\"lease_token\":\"v\"},\"jobs\":[{\"dispatch_id\":5,\"lease_token\":\"v\"},"
              "{\"dispatch_id\":6,\"lease_token\":\"w\"}]}"),
     VERDICT_GOOD, 2, 6, "w"},
    {&PEER_PHP, COMPLETE, BYTES(OK BODY(13) "{\"job_id\":12}"), VERDICT_GOOD, 1, 0, NULL},
    {&PEER_PHP, COMPLETE, BYTES("HTTP/1.1 404 Not Found\r\n" BODY(2) "{}"), VERDICT_BAD, 0, 0, NULL},
    {&PEER_BPD, THREE(REQUEST_COMPLETE), BYTES(OK BODY(48) "{\"outcome\":\"completed\"},{\"outcome\":\"completed\"} "),
     VERDICT_BAD, 2, 0, NULL},
    {&PEER_BPD, THREE(REQUEST_COMPLETE),
     BYTES(OK BODY(65) "{\"outcome\":\"completed\"},{\"outcome\":\"later\"},{\"outcome\":\"refused\"}"), VERDICT_GOOD,
     3, 0, NULL},
    {&PEER_BPD, LEASE, BYTES("HTTQ/1.1 200 OK\r\n\r\n"), 0, 0, 0, NULL},
    {&PEER_BPD, LEASE, BYTES("HTTP/1.1 OK\r\n\r\n"), 0, 0, 0, NULL},
    {&PEER_BPD, LEASE, BYTES(OK "Transfer-Encoding: chunked\r\n\r\nzz\r\n"), 0, 0, 0, NULL},
    {&PEER_BPD, LEASE, BYTES(OK "Transfer-Encoding: chunked\r\n\r\n-1\r\nxx\r\n"), 0, 0, 0, NULL},
    /* beanstalkd */
    {&PEER_BEANSTALKD, SUBMIT, BYTES("INSERTED 12\r\n"), VERDICT_GOOD, 1, 12, ""},
    {&PEER_BEANSTALKD, SUBMIT, BYTES("BURIED 12\r\n"), VERDICT_BAD, 0, 0, NULL},
    {&PEER_BEANSTALKD, SUBMIT, BYTES("DRAINING\r\n"), VERDICT_LATER, 0, 0, NULL},
    {&PEER_BEANSTALKD, SUBMIT, BYTES("INSERTED x\r\n"), VERDICT_BAD, 0, 0, NULL},
    {&PEER_BEANSTALKD, LEASE, BYTES("RESERVED 13 6\r\n{\"\r\n\"}\r\n"), VERDICT_GOOD, 1, 13, ""},
    {&PEER_BEANSTALKD, LEASE, BYTES("TIMED_OUT\r\n"), VERDICT_EMPTY, 0, 0, NULL},
    {&PEER_BEANSTALKD, LEASE, BYTES("DEADLINE_SOON\r\n"), VERDICT_BAD, 0, 0, NULL},
    {&PEER_BEANSTALKD, COMPLETE, BYTES("DELETED\r\n"), VERDICT_GOOD, 1, 0, NULL},
    {&PEER_BEANSTALKD, COMPLETE, BYTES("NOT_FOUND\r\n"), VERDICT_BAD, 0, 0, NULL},
    {&PEER_BEANSTALKD, LEASE, BYTES("RESERVED 13 2\r\n{}xx"), 0, 0, 0, NULL},
    {&PEER_BEANSTALKD, LEASE, BYTES("RESERVED 13 99999999999\r\n"), 0, 0, 0, NULL},
    {&PEER_BEANSTALKD, LEASE, BYTES("TIMED_OUT\n"), 0, 0, 0, NULL},
    {&PEER_BEANSTALKD, LEASE, BYTES("\n"), 0, 0, 0, NULL},
    /* Redis */
    {&PEER_REDIS, SUBMIT, BYTES("$15\r\n1700000000000-0\r\n"), VERDICT_GOOD, 1, 77, ""},
    {&PEER_REDIS, SUBMIT, BYTES("-OOM command not allowed\r\n"), VERDICT_BAD, 0, 0, NULL},
    {&PEER_REDIS, LEASE, BYTES("*-1\r\n"), VERDICT_EMPTY, 0, 0, NULL},
    {&PEER_REDIS, LEASE,
     BYTES("*1\r\n*2\r\n$4\r\njobs\r\n*1\r\n*2\r\n$3\r\n9-1\r\n*4\r\n$1\r\nn\r\n$2\r\n42\r\n$6\r\nparams\r\n$2\r\n{}"
           "\r\n"),
     VERDICT_GOOD, 1, 42, "9-1"},
    {&PEER_REDIS, LEASE, BYTES("*1\r\n*2\r\n$4\r\njobs\r\n*1\r\n*2\r\n$3\r\n9-1\r\n*2\r\n$1\r\nn\r\n$1\r\nx\r\n"),
     VERDICT_BAD, 0, 0, NULL},
    {&PEER_REDIS, LEASE, BYTES("-NOGROUP No such key\r\n"), VERDICT_BAD, 0, 0, NULL},
    {&PEER_REDIS, COMPLETE, BYTES(":1\r\n:1\r\n"), VERDICT_GOOD, 1, 0, NULL},
    {&PEER_REDIS, COMPLETE, BYTES(":0\r\n:1\r\n"), VERDICT_BAD, 0, 0, NULL},
    {&PEER_REDIS, COMPLETE, BYTES("+QUEUED\r\n:1\r\n"), VERDICT_BAD, 0, 0, NULL},
    {&PEER_REDIS, SUBMIT, BYTES("HELLO\r\n"), 0, 0, 0, NULL},
    {&PEER_REDIS, SUBMIT, BYTES("$x\r\n"), 0, 0, 0, NULL},
    {&PEER_REDIS, SUBMIT, BYTES("$2\r\nabcd"), 0, 0, 0, NULL},
    {&PEER_REDIS, SUBMIT, BYTES("$99999999999999999999\r\n"), 0, 0, 0, NULL},
    {&PEER_REDIS, SUBMIT, BYTES("$-2\r\n"), 0, 0, 0, NULL},
    /* gearmand */
    {&PEER_GEARMAND, SUBMIT, BYTES(GEAR("\x08", "\x05") "H:a:1"), VERDICT_GOOD, 1, 77, ""},
    {&PEER_GEARMAND, SUBMIT, BYTES(GEAR("\x13", "\x05") "E\0bad"), VERDICT_BAD, 0, 0, NULL},
    {&PEER_GEARMAND, LEASE, BYTES(GEAR("\x0a", "\0")), VERDICT_EMPTY, 0, 0, NULL},
    {&PEER_GEARMAND, LEASE,
     BYTES(GEAR("\x06", "\0") GEAR("\x0b", "\x11") "H:a:7\0bench\0"
                                                   "42 {}"),
     VERDICT_GOOD, 1, 42, "H:a:7"},
    {&PEER_GEARMAND, LEASE, BYTES(GEAR("\x0b", "\x05") "H:a:7"), VERDICT_BAD, 0, 0, NULL},
    {&PEER_GEARMAND, LEASE, BYTES(GEAR("\x0b", "\x0d") "H:a:7\0bench\0x"), VERDICT_BAD, 0, 0, NULL},
    {&PEER_GEARMAND, SLEEP, BYTES(GEAR("\x06", "\0")), VERDICT_GOOD, 0, 0, NULL},
    {&PEER_GEARMAND, COMPLETE, BYTES(GEAR("\x06", "\0") GEAR("\x11", "\x04") "done"), VERDICT_GOOD, 1, 0, NULL},
    {&PEER_GEARMAND, COMPLETE, BYTES("\0REQ\0\0\0\x11\0\0\0\0"), 0, 0, 0, NULL},
    {&PEER_GEARMAND, COMPLETE, BYTES("\0RES\0\0\0\x11\x7f\0\0\0"), 0, 0, 0, NULL},
    {&PEER_GEARMAND, COMPLETE, BYTES("\0RES\0\0\1\0\0\0\0\0"), 0, 0, 0, NULL},
};
#define N_SAMPLES (sizeof SAMPLES / sizeof SAMPLES[0])

/* Reads n bytes that lie in memory of their own, with the NUL that is promised and nothing behind it. */
static long read_exact(const struct sample *s, const char *bytes, size_t n, char **kept)
{
    char *copy = malloc(n + 1);
    memcpy(copy, bytes, n);
    copy[n] = 0;
    free(*kept);
    *kept = copy;
    memset(&a, 0, sizeof a);
    a.text = "";
    return s->peer->read(&s->q, copy, n, &a);
}

static void expect(const struct sample *s, size_t i)
{
    if (a.verdict != s->verdict || a.n_items != s->items)
        fail_msg("sample %zu of %s: verdict %d with %d items", i, s->peer->name, a.verdict, a.n_items);
    const struct item *last = s->items ? &a.items[s->items - 1] : NULL;
    if (last && s->lease && (last->id != s->id || strcmp(last->lease, s->lease) != 0))
        fail_msg("sample %zu of %s: job %lld, lease '%s'", i, s->peer->name, (long long)last->id, last->lease);
}

static void an_answer_is_whole_with_its_last_byte_and_means_what_it_says(void **state)
{
    char *kept = NULL;
    (void)state;
    for (size_t i = 0; i < N_SAMPLES; i++) {
        const struct sample *s = &SAMPLES[i];
        for (size_t n = 0; s->verdict && n < s->n; n++)
            if (read_exact(s, s->bytes, n, &kept) != 0)
                fail_msg("sample %zu of %s: taken for whole after %zu of %zu bytes", i, s->peer->name, n, s->n);
        if (!s->verdict)
            continue;
        if (read_exact(s, s->bytes, s->n, &kept) != (long)s->n)
            fail_msg("sample %zu of %s: not whole", i, s->peer->name);
        expect(s, i);
    }
    free(kept);
}

static void what_is_no_answer_is_refused(void **state)
{
    char *kept = NULL;
    (void)state;
    for (size_t i = 0; i < N_SAMPLES; i++) {
        const struct sample *s = &SAMPLES[i];
        long length = 0;
        for (size_t n = 0; !s->verdict && n <= s->n && length == 0; n++)
            length = read_exact(s, s->bytes, n, &kept);
        if (!s->verdict && length != -1)
            fail_msg("sample %zu of %s: %ld instead of a refusal", i, s->peer->name, length);
    }
    free(kept);
}

static void bytes_behind_an_answer_are_not_part_of_it(void **state)
{
    char *kept = NULL, more[512];
    (void)state;
    for (size_t i = 0; i < N_SAMPLES; i++) {
        const struct sample *s = &SAMPLES[i];
        memcpy(more, s->bytes, s->n);
        memcpy(more + s->n, "\r\n{}:1\r\n", 9);
        if (s->verdict && read_exact(s, more, s->n + 9, &kept) != (long)s->n)
            fail_msg("sample %zu of %s: another length with more behind it", i, s->peer->name);
    }
    free(kept);
}

/* Whatever comes, a reader takes no more than there is. The sanitizers see what it touches. */
static void any_changed_byte_is_read_within_its_bounds(void **state)
{
    static const char VALUES[] = {0, '\n', '\r', '-', '9', 'x', '*', (char)0xff};
    char *kept = NULL, changed[512];
    (void)state;
    for (size_t i = 0; i < N_SAMPLES; i++) {
        const struct sample *s = &SAMPLES[i];
        for (size_t at = 0; at < s->n; at++) {
            for (size_t v = 0; v < sizeof VALUES; v++) {
                memcpy(changed, s->bytes, s->n);
                changed[at] = VALUES[v];
                long length = read_exact(s, changed, s->n, &kept);
                assert_in_range(length + 1, 0, (long)s->n + 1);
                assert_in_range(a.n_items, 0, s->q.n > 1 ? s->q.n : 1);
            }
        }
    }
    free(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_whole_with_its_last_byte_and_means_what_it_says),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(bytes_behind_an_answer_are_not_part_of_it),
        cmocka_unit_test(any_changed_byte_is_read_within_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
