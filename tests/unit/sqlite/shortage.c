/* SPDX-License-Identifier: Apache-2.0 */
/* No memory and no room on the disk in each operation of tenants, webhooks and leadership, and in submits and ends with
 * all that can come with them: refused as a whole, nothing changed, and it works again when there is enough. */
#include "queue_file.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fresh(void **state)
{
    (void)state;
    directory_fresh();
    return 0;
}

/* ---- the file as one number ---- */

static uint64_t hash(uint64_t h, const char *text)
{
    for (; text && *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return (h ^ 0xff) * 1099511628211u;
}

static uint64_t digest_of(sqlite3 *db, const char *table, uint64_t h)
{
    sqlite3_stmt *q = NULL;
    char *sql = sqlite3_mprintf("SELECT * FROM \"%w\" ORDER BY 1, 2", table);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
    while (sqlite3_step(q) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(q); i++)
            h = hash(h, (const char *)sqlite3_column_text(q, i));
    sqlite3_finalize(q);
    sqlite3_free(sql);
    return h;
}

/* Every value of every table. */
static uint64_t digest(void)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    uint64_t h = 14695981039346656037u;
    assert_int_equal(sqlite3_open("queue.db", &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> "
                                        "'sqlite_sequence' ORDER BY 1",
                                        -1, &q, NULL),
                     SQLITE_OK);
    while (sqlite3_step(q) == SQLITE_ROW)
        h = digest_of(db, (const char *)sqlite3_column_text(q, 0), h);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return h;
}

/* ---- what is tried ---- */

static const int64_t after[] = {1};
static const char *const workflows[] = {"a"}, *const tokens[] = {"t2"}, *const keys[] = {"k2"};

static void submit_make(struct bp_op *op)
{
    op->kind = BP_OP_SUBMIT;
    op->u.submit = (struct bp_op_submit){.tenant = "acme",
                                         .workflow = "a",
                                         .request_hash = "",
                                         .who = "tenant:acme",
                                         .max_attempts = 3,
                                         .unique_key = "new",
                                         .after = after,
                                         .n_after = 1,
                                         .fair = 1};
}

static void lease_make(struct bp_op *op)
{
    op->kind = BP_OP_LEASE;
    op->u.lease = (struct bp_op_lease){.worker_id = "w",
                                       .workflows = workflows,
                                       .n_workflows = 1,
                                       .max = 1,
                                       .tokens = tokens,
                                       .output_keys = keys,
                                       .ttl_ms = 1000};
}

static void complete_make(struct bp_op *op)
{
    op->kind = BP_OP_COMPLETE;
    op->u.complete = (struct bp_op_complete){.id = 1, .token = "t1", .worker_id = "w", .output = "{}"};
}

static void fail_make(struct bp_op *op)
{
    op->kind = BP_OP_FAIL;
    op->u.fail = (struct bp_op_fail){.id = 1, .token = "t1", .worker_id = "w", .error = "no"};
}

static void retry_make(struct bp_op *op)
{
    op->kind = BP_OP_RETRY;
    op->u.retry = (struct bp_op_retry){.id = 5, .who = "operator:0"};
}

static void get_make(struct bp_op *op)
{
    op->kind = BP_OP_GET;
    op->u.get.id = 2;
    op->u.get.with_events = 1;
}

static void sweep_make(struct bp_op *op)
{
    op->kind = BP_OP_SWEEP;
    op->now_ms = NOW + 1000000;
    op->u.sweep.limit = 10;
    op->u.sweep.epoch = 1;
}

static void prune_make(struct bp_op *op)
{
    op->kind = BP_OP_PRUNE;
    op->u.prune = (struct bp_op_prune){.before_ms = NOW + 1, .audit_before_ms = NOW + 1, .limit = 10, .epoch = 1};
}

static void lead_make(struct bp_op *op)
{
    op->kind = BP_OP_LEAD;
    op->now_ms = NOW + 100000;
    op->u.lead = (struct bp_op_lead){.id = "two", .name = "n", .url = "u", .version = "v", .ttl_ms = 1000};
}

static void watch_make(struct bp_op *op)
{
    op->kind = BP_OP_WATCH;
}

static void tenant_put_make(struct bp_op *op)
{
    op->kind = BP_OP_TENANT_PUT;
    op->u.tenant_put = (struct bp_op_tenant_put){.name = "acme", .weight = 3, .max_running = 5, .webhook_url = "other"};
}

static void tenant_list_make(struct bp_op *op)
{
    op->kind = BP_OP_TENANT_LIST;
}

static void token_put_make(struct bp_op *op)
{
    op->kind = BP_OP_TOKEN_PUT;
    op->u.token_put = (struct bp_op_token_put){.tenant = "acme", .token_hash = "bb", .label = "ci"};
}

static void token_del_make(struct bp_op *op)
{
    op->kind = BP_OP_TOKEN_DEL;
    op->u.token_del = (struct bp_op_token_del){.tenant = "acme", .id = 1};
}

static void token_list_make(struct bp_op *op)
{
    op->kind = BP_OP_TOKEN_LIST;
    op->u.token_list.tenant = "acme";
}

static void token_auth_make(struct bp_op *op)
{
    op->kind = BP_OP_TOKEN_AUTH;
    op->u.token_auth.token_hash = "aa";
}

static void webhook_take_make(struct bp_op *op)
{
    op->kind = BP_OP_WEBHOOK_TAKE;
    op->u.webhook_take = (struct bp_op_webhook_take){.limit = 10, .hold_ms = 1000, .epoch = 1};
}

static void webhook_done_make(struct bp_op *op)
{
    op->kind = BP_OP_WEBHOOK_DONE;
    op->u.webhook_done = (struct bp_op_webhook_done){.job_id = 5, .finished_ms = NOW, .retry_at_ms = NOW + 1000};
}

static const struct attempt {
    const char *name;
    void (*make)(struct bp_op *op);
    int writes, returns;
} ATTEMPTS[] = {
    {"submit", submit_make, 1, 0},
    {"lease", lease_make, 1, 1},
    {"complete", complete_make, 1, 0},
    {"fail", fail_make, 1, 0},
    {"retry", retry_make, 1, 0},
    {"get", get_make, 0, 1},
    {"sweep", sweep_make, 1, 1},
    {"prune", prune_make, 1, 1},
    {"lead", lead_make, 1, 1},
    {"watch", watch_make, 0, 1},
    {"tenant_put", tenant_put_make, 1, 0},
    {"tenant_list", tenant_list_make, 0, 1},
    {"token_put", token_put_make, 1, 0},
    {"token_del", token_del_make, 1, 0},
    {"token_list", token_list_make, 0, 1},
    {"token_auth", token_auth_make, 1, 1},
    {"webhook_take", webhook_take_make, 1, 1},
    {"webhook_done", webhook_done_make, 1, 0},
};
#define N_ATTEMPTS (sizeof ATTEMPTS / sizeof ATTEMPTS[0])

static int32_t attempt(struct fake_host *h, const struct attempt *a, struct bp_op *op)
{
    struct bp_err err = {0};
    memset(op, 0, sizeof *op);
    op->size = sizeof *op;
    op->now_ms = NOW;
    a->make(op);
    int32_t rc = fake_host_queue(h)->apply(fake_host_instance(h), &op, 1, &err);
    if (rc)
        assert_true(err.rc == rc && err.text[0] != 0);
    return rc;
}

/* ---- what is there ---- */

static void run_free(struct fake_host *h, struct bp_op *op)
{
    queue_run(h, op);
    void **memory = bp_op_memory(op);
    if (memory)
        fake_host_free(*memory);
}

static void submit_plain(struct fake_host *h, const char *key, uint32_t n_after)
{
    struct bp_op op = {0};
    submit_make(&op);
    op.u.submit.unique_key = key;
    op.u.submit.n_after = n_after;
    run_free(h, &op);
}

/* Job 1 leased, 2 and 3 wait for it, 4 queued, 5 cancelled and its webhook due; tenant acme with a token and a URL;
 * controller one leads. */
static void furnish(struct fake_host *h)
{
    struct bp_worker_row w = {.approved = 1, .max_concurrency = 9, .worker_id = "w", .workflows = "[\"a\"]"};
    struct bp_op worker = {.kind = BP_OP_WORKER_PUT}, tenant = {.kind = BP_OP_TENANT_PUT},
                 token = {.kind = BP_OP_TOKEN_PUT}, lease = {0}, cancel = {.kind = BP_OP_CANCEL},
                 lead = {.kind = BP_OP_LEAD};
    worker.u.worker_put.worker = &w;
    run_free(h, &worker);
    tenant.u.tenant_put =
        (struct bp_op_tenant_put){.name = "acme", .weight = 2, .webhook_version = 1, .webhook_url = "https://acme/"};
    run_free(h, &tenant);
    token.u.token_put = (struct bp_op_token_put){.tenant = "acme", .token_hash = "aa"};
    run_free(h, &token);
    submit_plain(h, "one", 0);
    static const char *const first[] = {"t1"};
    lease_make(&lease);
    lease.u.lease.tokens = first;
    run_free(h, &lease);
    submit_plain(h, "two", 1);
    submit_plain(h, NULL, 1);
    submit_plain(h, NULL, 0);
    submit_plain(h, "five", 0);
    cancel.u.cancel.id = 5;
    run_free(h, &cancel);
    lead.u.lead = (struct bp_op_lead){.id = "one", .ttl_ms = 1000};
    run_free(h, &lead);
}

/* Tries again with enough of everything: it must do what it could not. */
static void succeed(struct fake_host *h, const struct attempt *a, uint64_t before)
{
    struct bp_op op;
    if (attempt(h, a, &op) != BP_OK || op.err.rc != BP_OK)
        fail_msg("%s: %s", a->name, op.err.text);
    void **memory = bp_op_memory(&op);
    if (a->returns && !*memory)
        fail_msg("%s returns nothing", a->name);
    if (memory)
        fake_host_free(*memory);
    if (a->writes != (digest() != before))
        fail_msg("%s %s", a->name, a->writes ? "wrote nothing" : "wrote");
}

static void no_memory_for_the_answer_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ATTEMPTS; i++) {
        const struct attempt *a = &ATTEMPTS[i];
        struct bp_op op;
        if (!a->returns)
            continue;
        directory_fresh();
        struct fake_host *h = queue_start(NULL);
        furnish(h);
        uint64_t before = digest();
        fake_host_fail_alloc(1);
        if (attempt(h, a, &op) != BP_NOMEM)
            fail_msg("%s: %s", a->name, op.err.text);
        fake_host_fail_alloc(0);
        assert_null(*bp_op_memory(&op));
        if (digest() != before)
            fail_msg("%s changed something", a->name);
        succeed(h, a, before);
        assert_int_equal(fake_host_blocks(), 0);
        fake_host_stop(h);
    }
}

/* Less and less too little, until it is enough. */
static void starve(struct fake_host *h, const struct attempt *a, uint64_t before)
{
    int refused = 0;
    for (sqlite3_int64 extra = 1;; extra += extra / 2 + 300) {
        struct bp_op op;
        sqlite3_hard_heap_limit64(sqlite3_memory_used() + extra);
        int32_t rc = attempt(h, a, &op);
        sqlite3_hard_heap_limit64(0);
        if (rc == BP_OK) {
            void **memory = bp_op_memory(&op);
            if (memory)
                fake_host_free(*memory);
            break;
        }
        refused++;
        if (rc != BP_NOMEM)
            fail_msg("%s with %lld bytes: %d", a->name, (long long)extra, rc);
        if (digest() != before)
            fail_msg("%s with %lld bytes changed something", a->name, (long long)extra);
    }
    if (!refused)
        fail_msg("%s needed no memory", a->name);
}

static void no_memory_in_the_store_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ATTEMPTS; i++) {
        directory_fresh();
        struct fake_host *h = queue_start(NULL);
        furnish(h);
        fake_host_stop(h);
        h = queue_start(NULL);
        starve(h, &ATTEMPTS[i], digest());
        assert_int_equal(fake_host_blocks(), 0);
        fake_host_stop(h);
        assert_true(file_sound("queue.db"));
    }
}

/* ---- no room ---- */

static int32_t put_one(struct fake_host *h, struct bp_op *op)
{
    struct bp_err err = {0};
    op->size = sizeof *op;
    op->now_ms = NOW;
    int32_t rc = fake_host_queue(h)->apply(fake_host_instance(h), &op, 1, &err);
    void **memory = bp_op_memory(op);
    if (rc == BP_OK && memory)
        fake_host_free(*memory);
    if (rc)
        assert_true(err.rc == rc && err.text[0] != 0);
    else
        assert_int_equal(op->err.rc, BP_OK);
    return rc;
}

/* Puts one more of a kind, with a text that no other has and that takes room. */
static int32_t grow(struct fake_host *h, int32_t kind, int n)
{
    char text[256], url[2000];
    struct bp_op op = {.kind = kind};
    snprintf(text, sizeof text, "%0200d", n);
    memset(url, 'u', sizeof url - 1);
    url[sizeof url - 1] = 0;
    if (kind == BP_OP_TENANT_PUT)
        op.u.tenant_put =
            (struct bp_op_tenant_put){.name = text, .weight = 1, .webhook_version = 1, .webhook_url = url};
    else if (kind == BP_OP_TOKEN_PUT)
        op.u.token_put = (struct bp_op_token_put){.tenant = "acme", .token_hash = text, .label = url};
    else if (kind == BP_OP_LEAD)
        op.u.lead = (struct bp_op_lead){.id = text, .url = url, .ttl_ms = 1000};
    else {
        submit_make(&op);
        op.u.submit.unique_key = text;
        op.u.submit.params = url;
    }
    return put_one(h, &op);
}

static void no_room_refuses_what_is_new_and_keeps_what_is_there(void **state)
{
    static const struct {
        int32_t kind;
        const char *count;
    } kinds[] = {
        {BP_OP_TENANT_PUT, "SELECT count(*) FROM tenants WHERE name <> 'acme'"},
        {BP_OP_TOKEN_PUT, "SELECT count(*) FROM tenant_tokens WHERE token_hash <> 'aa'"},
        {BP_OP_LEAD, "SELECT count(*) FROM controllers WHERE id <> 'one'"},
        {BP_OP_SUBMIT, "SELECT count(*) FROM unique_keys WHERE length(key) = 200"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        int n = 0, rc;
        directory_fresh();
        struct fake_host *h = queue_start("{\"maxBytes\": 1048576}");
        furnish(h);
        while ((rc = grow(h, kinds[i].kind, n)) == BP_OK)
            assert_true(++n < 100000);
        assert_int_equal(rc, BP_NOSPACE);
        assert_int_equal(file_int("queue.db", kinds[i].count), n);
        assert_int_equal(file_int("queue.db", "SELECT count(*) FROM job_dependencies"),
                         kinds[i].kind == BP_OP_SUBMIT ? n + 2 : 2);
        fake_host_stop(h);
        assert_true(file_sound("queue.db"));
        h = queue_start(NULL);
        assert_int_equal(grow(h, kinds[i].kind, n), BP_OK);
        fake_host_stop(h);
    }
}

int main(void)
{
    sqlite3_initialize(); /* with its counts of memory, which the limits here need and the plugin turns off */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(no_memory_for_the_answer_changes_nothing, fresh),
        cmocka_unit_test_setup(no_memory_in_the_store_changes_nothing, fresh),
        cmocka_unit_test_setup(no_room_refuses_what_is_new_and_keeps_what_is_there, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
