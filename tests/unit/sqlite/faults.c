/* SPDX-License-Identifier: Apache-2.0 */
/* Full disks, torn logs, locked files: nothing accepted is lost, nothing half-written, and it resumes by itself. */
#include "queue_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static int fresh(void **state)
{
    (void)state;
    directory_fresh();
    return 0;
}

/* Registers worker w and takes the jobs through to completion. */
static void complete_all(struct fake_host *h)
{
    struct bp_worker_row w = {.approved = 1, .max_concurrency = 1000, .worker_id = "w", .workflows = "[\"a\"]"};
    struct bp_op put = {.kind = BP_OP_WORKER_PUT};
    put.u.worker_put.worker = &w;
    queue_run(h, &put);
    const char *workflow = "a", *token = "t", *key = "k";
    for (;;) {
        struct bp_op lease = {.kind = BP_OP_LEASE}, done = {.kind = BP_OP_COMPLETE};
        lease.u.lease = (struct bp_op_lease){.worker_id = "w",
                                             .workflows = &workflow,
                                             .n_workflows = 1,
                                             .max = 1,
                                             .tokens = &token,
                                             .output_keys = &key,
                                             .ttl_ms = 1000};
        queue_run(h, &lease);
        if (lease.u.lease.count == 0)
            return;
        done.u.complete.id = lease.u.lease.jobs[0].id;
        done.u.complete.token = token;
        done.u.complete.worker_id = "w";
        done.u.complete.output = "{}";
        queue_run(h, &done);
        fake_host_free(lease.u.lease.memory);
    }
}

/* Submits until it is refused for want of room; the number accepted. */
static int64_t fill(struct fake_host *h, size_t bytes)
{
    int64_t n = 0;
    int32_t rc;
    while ((rc = queue_submit(h, bytes, NULL)) == BP_OK)
        assert_true(++n < 100000);
    assert_int_equal(rc, BP_NOSPACE);
    return n;
}

static void a_full_queue_refuses_and_resumes_after_pruning(void **state)
{
    (void)state;
    struct fake_host *h = queue_start("{\"maxBytes\": 2097152}");
    for (int i = 0; i < 100; i++)
        assert_int_equal(queue_submit(h, 10000, NULL), BP_OK);
    complete_all(h);
    int64_t n = 100 + fill(h, 10000);
    assert_int_equal(queue_jobs(h), n);
    assert_int_equal(queue_submit(h, 10000, NULL), BP_NOSPACE);
    struct bp_op prune = {.kind = BP_OP_PRUNE};
    prune.u.prune.before_ms = NOW + 1;
    prune.u.prune.limit = 1000;
    queue_run(h, &prune);
    fake_host_free(prune.u.prune.memory);
    assert_int_equal(queue_submit(h, 10000, NULL), BP_OK);
    assert_int_equal(queue_jobs(h), n - 100 + 1);
    fake_host_stop(h);
    assert_true(file_sound("queue.db"));
}

static void a_refused_batch_leaves_no_part_of_itself(void **state)
{
    (void)state;
    struct fake_host *h = queue_start("{\"maxBytes\": 1048576}");
    int64_t n = fill(h, 20000), id;
    fake_host_stop(h);
    assert_int_equal(file_int("queue.db", "SELECT count(*) FROM ai_job_dispatches"), n);
    assert_int_equal(file_int("queue.db", "SELECT count(*) FROM ai_jobs"), n);
    assert_int_equal(file_int("queue.db", "SELECT count(*) FROM job_events"), n);
    assert_int_equal(file_int("queue.db", "SELECT queued FROM workflows"), n);
    h = queue_start(NULL);
    assert_int_equal(queue_submit(h, 20000, &id), BP_OK);
    assert_int_equal(id, n + 1);
    fake_host_stop(h);
    assert_true(file_sound("queue.db"));
}

/* A small file system of our own, or a skipped test where that is not allowed. */
static void mount_small(const char *options)
{
    assert_int_equal(mkdir("disk", 0700), 0);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "disk", "tmpfs", 0, options) != 0) {
        print_message("not allowed to mount: %s\n", strerror(errno));
        skip();
    }
}

static void file_fill(const char *path)
{
    static char block[65536];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0)
        ;
    close(fd);
}

static void a_full_disk_refuses_and_resumes_when_there_is_room(void **state)
{
    (void)state;
    mount_small("size=4m");
    struct fake_host *h = queue_start("{\"path\": \"disk/queue.db\"}");
    int64_t n = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5; i++, n++)
            assert_int_equal(queue_submit(h, 10000, NULL), BP_OK);
        file_fill("disk/ballast");
        n += fill(h, 10000);
        assert_int_equal(queue_jobs(h), n);
        assert_int_equal(queue_submit(h, 10000, NULL), BP_NOSPACE);
        assert_int_equal(unlink("disk/ballast"), 0);
    }
    assert_int_equal(queue_submit(h, 10000, NULL), BP_OK);
    assert_int_equal(queue_jobs(h), n + 1);
    fake_host_stop(h);
    assert_true(file_sound("disk/queue.db"));
    umount("disk");
}

static void a_disk_full_from_the_start_is_told(void **state)
{
    (void)state;
    mount_small("size=64k");
    file_fill("disk/ballast");
    queue_refused("{\"path\": \"disk/queue.db\"}", "disk/queue.db");
    assert_int_equal(unlink("disk/ballast"), 0);
    umount("disk");
}

static void a_read_only_disk_refuses_and_resumes(void **state)
{
    (void)state;
    mount_small("size=8m");
    struct fake_host *h = queue_start("{\"path\": \"disk/queue.db\"}");
    assert_int_equal(queue_submit(h, 100, NULL), BP_OK);
    fake_host_stop(h);
    assert_int_equal(mount("none", "disk", "tmpfs", MS_REMOUNT | MS_RDONLY, "size=8m"), 0);
    queue_refused("{\"path\": \"disk/queue.db\"}", "disk/queue.db");
    assert_int_equal(mount("none", "disk", "tmpfs", MS_REMOUNT, "size=8m"), 0);
    h = queue_start("{\"path\": \"disk/queue.db\"}");
    assert_int_equal(queue_jobs(h), 1);
    fake_host_stop(h);
    umount("disk");
}

static void file_copy(const char *from, const char *to, off_t most)
{
    static char block[65536];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(in >= 0 && out >= 0);
    while (most > 0) {
        size_t want = most < (off_t)sizeof block ? (size_t)most : sizeof block;
        ssize_t n = read(in, block, want);
        if (n <= 0)
            break;
        assert_int_equal(write(out, block, (size_t)n), n);
        most -= n;
    }
    close(in);
    close(out);
}

static void a_torn_log_opens_at_its_last_whole_batch(void **state)
{
    (void)state;
    struct fake_host *h = queue_start(NULL);
    struct stat st;
    for (int i = 0; i < 40; i++)
        assert_int_equal(queue_submit(h, 500, NULL), BP_OK);
    assert_int_equal(stat("queue.db-wal", &st), 0);
    int64_t last = -1;
    for (off_t size = 0; size <= st.st_size; size += st.st_size / 37 + 1) {
        file_copy("queue.db", "torn.db", INT64_MAX);
        file_copy("queue.db-wal", "torn.db-wal", size);
        unlink("torn.db-shm");
        struct fake_host *torn = queue_start("{\"path\": \"torn.db\"}");
        int64_t n = queue_jobs(torn), id;
        assert_true(n >= last && n <= 40);
        assert_int_equal(queue_submit(torn, 10, &id), BP_OK);
        assert_int_equal(id, n + 1);
        fake_host_stop(torn);
        assert_true(file_sound("torn.db"));
        last = n;
    }
    assert_true(last > 30);
    assert_int_equal(queue_jobs(h), 40);
    fake_host_stop(h);
}

static void a_file_another_program_holds_is_an_answer(void **state)
{
    sqlite3 *other = NULL;
    (void)state;
    struct fake_host *h = queue_start(NULL);
    assert_int_equal(queue_submit(h, 10, NULL), BP_OK);
    assert_int_equal(sqlite3_open("queue.db", &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(queue_submit(h, 10, NULL), BP_LATER);
    sqlite3_close(other);
    assert_int_equal(queue_submit(h, 10, NULL), BP_OK);
    assert_int_equal(queue_jobs(h), 2);
    fake_host_stop(h);
}

static void no_memory_anywhere_leaves_the_queue_as_it_was(void **state)
{
    (void)state;
    struct fake_host *h = queue_start(NULL);
    assert_int_equal(queue_submit(h, 10, NULL), BP_OK);
    struct bp_err err;
    for (int kind = BP_OP_LIST; kind <= BP_OP_STATS; kind++) {
        struct bp_op op = {.size = sizeof op, .kind = kind, .now_ms = NOW}, *list = &op;
        if (kind != BP_OP_LIST && kind != BP_OP_EVENTS && kind != BP_OP_STATS)
            continue;
        if (kind == BP_OP_LIST)
            op.u.list.limit = 10;
        if (kind == BP_OP_EVENTS)
            op.u.events.limit = 10;
        fake_host_fail_alloc(1);
        assert_int_equal(fake_host_queue(h)->apply(fake_host_instance(h), &list, 1, &err), BP_NOMEM);
        fake_host_fail_alloc(0);
    }
    assert_int_equal(queue_jobs(h), 1);
    assert_int_equal(fake_host_blocks(), 0);
    fake_host_stop(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_full_queue_refuses_and_resumes_after_pruning, fresh),
        cmocka_unit_test_setup(a_refused_batch_leaves_no_part_of_itself, fresh),
        cmocka_unit_test_setup(a_full_disk_refuses_and_resumes_when_there_is_room, fresh),
        cmocka_unit_test_setup(a_disk_full_from_the_start_is_told, fresh),
        cmocka_unit_test_setup(a_read_only_disk_refuses_and_resumes, fresh),
        cmocka_unit_test_setup(a_torn_log_opens_at_its_last_whole_batch, fresh),
        cmocka_unit_test_setup(a_file_another_program_holds_is_an_answer, fresh),
        cmocka_unit_test_setup(no_memory_anywhere_leaves_the_queue_as_it_was, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
