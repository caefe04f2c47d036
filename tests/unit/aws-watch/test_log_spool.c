/* SPDX-License-Identifier: Apache-2.0 */
/* The spool of log lines: in order, over restarts, power cuts, damage, and never beyond its limit. */
#include "cm.h"
#include "log_segment.h"
#include "log_spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIMIT (1 << 20)
#define MOST  10000

static struct log_spool *s;
static struct bp_err err;
static struct log_record got[MOST];

static void reopen(int64_t limit)
{
    log_spool_close(s);
    s = log_spool_open("spool", limit, &err);
    if (!s)
        fail_msg("%s", err.text);
}

static int set_up(void **state)
{
    (void)state;
    alarm(60);
    log_spool_close(s);
    s = NULL;
    assert_int_equal(system("rm -rf spool"), 0);
    reopen(LIMIT);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    log_spool_close(s);
    s = NULL;
    return 0;
}

static int append_text(const char *text)
{
    struct log_record r = {1000, "/bp/prod/bpd", "ctl-1", text, (uint32_t)strlen(text)};
    return log_spool_append(s, &r, 1, &err);
}

/* "from", "from+1", ... as one append. */
static void append(int from, int n)
{
    char(*texts)[16] = calloc((size_t)n, sizeof *texts);
    struct log_record *r = calloc((size_t)n, sizeof *r);
    for (int i = 0; i < n; i++) {
        int k = snprintf(texts[i], sizeof texts[i], "%d", from + i);
        r[i] = (struct log_record){1000 + from + i, "/bp/prod/bpd", "ctl-1", texts[i], (uint32_t)k};
    }
    if (log_spool_append(s, r, (uint32_t)n, &err) < 0)
        fail_msg("%s", err.text);
    free(r);
    free(texts);
}

/* Reads and drops all; what is there must be `from` and following. Returns how many. */
static int drain(int from, uint32_t most)
{
    int k = 0;
    for (uint32_t n; (n = log_spool_read(s, got, most)) > 0; log_spool_advance(s, n))
        for (uint32_t i = 0; i < n; i++, k++) {
            assert_string_equal(got[i].group, "/bp/prod/bpd");
            assert_string_equal(got[i].stream, "ctl-1");
            assert_int_equal(atoi(got[i].text), from + k);
            assert_int_equal(got[i].at_ms, 1000 + from + k);
            assert_int_equal(got[i].n_text, strlen(got[i].text));
        }
    return k;
}

static uint64_t dropped(void)
{
    struct log_spool_losses l;
    log_spool_losses(s, &l);
    return l.dropped;
}

static uint64_t damaged(void)
{
    struct log_spool_losses l;
    log_spool_losses(s, &l);
    return l.damaged;
}

/* The newest segment's path. */
static const char *newest(void)
{
    static char path[300];
    char name[256] = "";
    DIR *d = opendir("spool");
    for (struct dirent *e; (e = readdir(d));)
        if (strstr(e->d_name, ".log") && strcmp(e->d_name, name) > 0)
            snprintf(name, sizeof name, "%s", e->d_name);
    closedir(d);
    snprintf(path, sizeof path, "spool/%s", name);
    return path;
}

static int64_t on_disk(void)
{
    int64_t all = 0;
    struct stat st;
    char path[300];
    DIR *d = opendir("spool");
    for (struct dirent *e; (e = readdir(d));) {
        snprintf(path, sizeof path, "spool/%s", e->d_name);
        if (strstr(e->d_name, ".log") && stat(path, &st) == 0)
            all += st.st_size;
    }
    closedir(d);
    return all;
}

static void records_come_back_in_order(void **state)
{
    (void)state;
    append(0, 100);
    append(100, 1);
    assert_int_equal(drain(0, 7), 101);
    append(101, 50);
    assert_int_equal(drain(101, MOST), 50);
    assert_int_equal(log_spool_read(s, got, MOST), 0);
}

static void what_was_read_and_not_dropped_comes_again(void **state)
{
    (void)state;
    append(0, 10);
    assert_int_equal(log_spool_read(s, got, 4), 4);
    assert_int_equal(log_spool_read(s, got, MOST), 10);
    log_spool_advance(s, 3);
    assert_int_equal(drain(3, MOST), 7);
}

static void a_restart_goes_on_where_it_was(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        append(10 * i, 10);
        reopen(LIMIT);
        if (i % 3 == 2) {
            assert_int_equal(log_spool_read(s, got, 5), 5);
            log_spool_advance(s, 5);
        }
    }
    assert_int_equal(drain(30, MOST), 170);
    reopen(LIMIT);
    assert_int_equal(log_spool_read(s, got, MOST), 0);
    append(0, 1);
    assert_int_equal(drain(0, MOST), 1);
}

static void what_was_sent_gives_its_disk_back(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        append(1000 * i, 1000);
        assert_int_equal(drain(1000 * i, MOST), 1000);
        assert_true(on_disk() < 256 << 10);
    }
    assert_int_equal(log_spool_bytes(s), on_disk());
    assert_int_equal(dropped(), 0);
}

static void a_full_spool_drops_the_oldest_and_counts_them(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        append(100 * i, 100);
        assert_true(on_disk() <= LIMIT);
    }
    int kept = 30000 - (int)dropped();
    assert_true(kept > 5000 && kept < 30000);
    assert_int_equal(drain((int)dropped(), MOST), kept);
}

static void dropped_records_of_former_processes_are_counted_too(void **state)
{
    (void)state;
    for (int i = 0; i < 90; i++)
        append(100 * i, 100);
    assert_int_equal(log_spool_read(s, got, 50), 50);
    log_spool_advance(s, 50);
    reopen(LIMIT);
    for (int i = 90; i < 200; i++)
        append(100 * i, 100);
    int lost = (int)dropped() + 50; /* 50 went out */
    assert_int_equal(drain(lost, MOST), 20000 - lost);
}

static void records_that_give_way_while_they_are_sent_are_not_counted_lost(void **state)
{
    (void)state;
    append(0, 100);
    assert_int_equal(log_spool_read(s, got, 60), 60);
    for (int i = 1; dropped() == 0; i++)
        append(100 * i, 100);
    uint64_t all = dropped();
    log_spool_advance(s, 60);
    assert_int_equal(dropped(), all - 60);
    assert_int_equal(log_spool_read(s, got, 1), 1);
    assert_int_equal(atoi(got[0].text), (int)all);
}

static void more_than_the_spool_holds_is_refused_and_takes_nothing_away(void **state)
{
    (void)state;
    append(0, 10);
    append_text("x");
    char *large = malloc(LOG_EVENT_MAX + 1);
    memset(large, 'x', LOG_EVENT_MAX);
    large[LOG_EVENT_MAX] = '\0';
    struct log_record r[5];
    for (int i = 0; i < 5; i++)
        r[i] = (struct log_record){1, "/g", "s", large, LOG_EVENT_MAX};
    assert_int_equal(log_spool_append(s, r, 5, &err), BP_TOOLARGE);
    assert_int_equal(log_spool_append(s, r, 3, &err), 0);
    assert_int_equal(log_spool_read(s, got, MOST), 14);
    assert_int_equal(atoi(got[9].text), 9);
    assert_true(got[13].n_text == LOG_EVENT_MAX && strcmp(got[13].text, large) == 0);
    free(large);
}

/* The power goes while the last record is written: so much of it is on disk, for each so much. */
static void a_torn_tail_costs_only_itself(void **state)
{
    (void)state;
    append(0, 5);
    int64_t before = on_disk();
    append(5, 1);
    int64_t after = on_disk();
    for (int64_t size = after - 1; size >= before; size--) {
        log_spool_close(s);
        s = NULL;
        assert_int_equal(truncate(newest(), size), 0);
        reopen(LIMIT);
        assert_int_equal(log_spool_read(s, got, MOST), 5);
    }
    append(5, 3);
    assert_int_equal(drain(0, MOST), 8);
}

/* A disk that is full in the middle of a record: the append is refused whole, and the next one follows what was there.
 */
static void a_full_disk_refuses_whole_appends(void **state)
{
    (void)state;
    struct rlimit before, tight;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    append(0, 5);
    for (int i = 1; i < 100; i += 7) {
        tight.rlim_cur = (rlim_t)on_disk() + (rlim_t)i;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        int rc = append_text("this one finds no room for more than a part of it, whatever the limit is in this turn");
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_true(rc == BP_NOSPACE || rc == BP_IO);
    }
    append(5, 5);
    assert_int_equal(drain(0, MOST), 10);
    assert_int_equal(damaged(), 0);
}

/* The file system had given room, but the bytes never came. */
static void zeros_behind_the_end_are_passed_over(void **state)
{
    (void)state;
    append(0, 5);
    log_spool_close(s);
    s = NULL;
    assert_int_equal(truncate(newest(), on_disk() + 5000), 0);
    reopen(LIMIT);
    append(5, 5);
    assert_int_equal(drain(0, MOST), 10);
    assert_int_equal(damaged(), 1);
}

static void flip(const char *path, off_t at)
{
    unsigned char c;
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, &c, 1, at), 1);
    c ^= 0x41;
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
    close(fd);
}

static void a_damaged_byte_costs_one_record_wherever_it_is(void **state)
{
    (void)state;
    append(0, 3);
    int64_t size = on_disk();
    for (off_t at = 0; at < size; at++) {
        set_up(state);
        append(0, 3);
        flip(newest(), at);
        reopen(LIMIT);
        int n = 0, last = -1;
        for (uint32_t k; (k = log_spool_read(s, got, MOST)) > 0; log_spool_advance(s, k))
            for (uint32_t i = 0; i < k; i++, n++) {
                assert_true(atoi(got[i].text) > last);
                last = atoi(got[i].text);
            }
        assert_int_equal(n, 2);
        assert_int_equal(damaged(), 1);
        log_spool_close(s);
        s = NULL;
    }
    reopen(LIMIT);
}

static void a_damaged_stretch_longer_than_a_window_is_passed_over(void **state)
{
    (void)state;
    reopen(64 << 20);
    append(0, 10);
    log_spool_close(s);
    s = NULL;
    char *noise = malloc(5 << 20);
    for (int i = 0; i < 5 << 20; i++)
        noise[i] = "BPL1"[rand() % 4]; /* the magic word all over */
    int fd = open(newest(), O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, noise, 5 << 20), 5 << 20);
    free(noise);
    struct log_record r = {1010, "/bp/prod/bpd", "ctl-1", "10", 2};
    char bytes[200];
    size_t n = log_segment_encode(&r, bytes);
    assert_int_equal(write(fd, bytes, n), n);
    close(fd);
    reopen(64 << 20);
    assert_int_equal(drain(0, MOST), 11);
    assert_true(damaged() > 0);
}

static void a_damaged_or_missing_cursor_repeats_and_loses_nothing(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        append(0, 10);
        assert_int_equal(log_spool_read(s, got, 4), 4);
        log_spool_advance(s, 4);
        log_spool_close(s);
        s = NULL;
        if (way == 0)
            unlink("spool/cursor");
        else if (way == 1)
            flip("spool/cursor", 9);
        else
            assert_int_equal(truncate("spool/cursor", 5), 0);
        reopen(LIMIT);
        assert_int_equal(drain(0, MOST), 10);
    }
}

static void foreign_files_are_left_alone(void **state)
{
    (void)state;
    FILE *f = fopen("spool/notes.txt", "w");
    fputs("mine", f);
    fclose(f);
    mkdir("spool/00000000000000ff.log", 0700);
    append(0, 3);
    reopen(LIMIT);
    assert_int_equal(drain(0, MOST), 3);
    assert_int_equal(access("spool/notes.txt", F_OK), 0);
}

static void a_directory_that_cannot_be_is_told(void **state)
{
    (void)state;
    FILE *f = fopen("in-the-way", "w");
    fclose(f);
    assert_null(log_spool_open("in-the-way", LIMIT, &err));
    assert_non_null(strstr(err.text, "in-the-way"));
    assert_null(log_spool_open("none/below", LIMIT, &err));
}

/* Any steps agree with a list of numbers: append, read some, drop some, restart. */
static void any_order_of_steps_agrees_with_a_list(void **state)
{
    (void)state;
    int first = 0, end = 0;
    srand(7);
    for (int step = 0; step < 1000; step++) {
        int what = rand() % 10;
        if (what < 5) {
            int n = 1 + rand() % 200;
            append(end, n);
            end += n;
        } else if (what < 9) {
            uint32_t n = log_spool_read(s, got, 1 + (uint32_t)rand() % 400), drop = n ? (uint32_t)rand() % (n + 1) : 0;
            if (n)
                assert_int_equal(atoi(got[0].text), first);
            else
                assert_int_equal(first, end);
            log_spool_advance(s, drop);
            first += (int)drop;
        } else {
            reopen(8 << 20);
        }
    }
    assert_int_equal(drain(first, MOST), end - first);
    assert_int_equal(damaged() + dropped(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_come_back_in_order),
        TEST(what_was_read_and_not_dropped_comes_again),
        TEST(a_restart_goes_on_where_it_was),
        TEST(what_was_sent_gives_its_disk_back),
        TEST(a_full_spool_drops_the_oldest_and_counts_them),
        TEST(dropped_records_of_former_processes_are_counted_too),
        TEST(records_that_give_way_while_they_are_sent_are_not_counted_lost),
        TEST(more_than_the_spool_holds_is_refused_and_takes_nothing_away),
        TEST(a_torn_tail_costs_only_itself),
        TEST(a_full_disk_refuses_whole_appends),
        TEST(zeros_behind_the_end_are_passed_over),
        TEST(a_damaged_byte_costs_one_record_wherever_it_is),
        TEST(a_damaged_stretch_longer_than_a_window_is_passed_over),
        TEST(a_damaged_or_missing_cursor_repeats_and_loses_nothing),
        TEST(foreign_files_are_left_alone),
        TEST(a_directory_that_cannot_be_is_told),
        TEST(any_order_of_steps_agrees_with_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
