/* SPDX-License-Identifier: Apache-2.0 */
#include "lead.h"

#include <string.h>

#include "ops.h"

/* The server's clock in ms, whatever the session's time zone. */
#define CLOCK_MS "TIMESTAMPDIFF(MICROSECOND,'1970-01-01',UTC_TIMESTAMP(3)) DIV 1000"
#define URL_MAX  2048

/* The row of leadership, locked. */
struct seat {
    int64_t epoch, expires_ms, ttl_ms, now_ms;
    bool mine;
};

int32_t lead_check(struct store *s, struct bp_op *op, int64_t epoch, bool *ok)
{
    int64_t present;
    *ok = true;
    if (epoch == 0)
        return BP_OK;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT epoch FROM leadership WHERE id=1 LOCK IN SHARE MODE");
    int32_t rc = query_int(s, &s->q, &present);
    *ok = !rc && present == epoch;
    if (rc || *ok)
        return rc;
    return op_error(op, BP_STALE, "epoch %lld is over, another controller leads in epoch %lld", (long long)epoch,
                    (long long)present);
}

/* Waits for the row first and reads the clock then: the wait must not make the time old. */
static int32_t seat_read(struct store *s, const char *id, struct seat *t)
{
    struct reply r;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT epoch, expires_ms, ttl_ms, holder=%s FROM leadership WHERE id=1 FOR UPDATE;SELECT " CLOCK_MS,
            id);
    int32_t rc = query_send(s, &s->q);
    rc = rc ? rc : query_rows(s, &r);
    if (rc)
        return rc;
    bool there = reply_next(&r);
    if (there) {
        t->epoch = column_int(&r, 0);
        t->expires_ms = column_int(&r, 1);
        t->ttl_ms = column_int(&r, 2);
        t->mine = column_int(&r, 3) != 0;
    }
    reply_done(&r);
    rc = query_rows(s, &r);
    if (!rc && reply_next(&r))
        t->now_ms = column_int(&r, 0);
    reply_done(&r);
    rc = rc ? rc : query_end(s);
    if (!rc && !there)
        return store_fail(s, BP_FAIL,
                          "the row of table leadership at %.100s is gone; run: INSERT INTO leadership VALUES "
                          "(1, 0, '', 0, 0)",
                          s->settings.where);
    return rc;
}

/* Who leads from now on. A lease that ends later than its holder asked for is of a clock that was set back since. */
static void decide(const struct bp_op_lead *l, struct seat *t, bool *leads)
{
    bool over = t->expires_ms <= t->now_ms || t->expires_ms > t->now_ms + t->ttl_ms;
    *leads = !l->resign && (t->mine || over);
    if (*leads && !t->mine)
        t->epoch++;
    if (*leads) {
        t->expires_ms = t->now_ms + l->ttl_ms;
        t->ttl_ms = l->ttl_ms;
    } else if (t->mine) {
        t->expires_ms = 0;
        t->epoch++; /* what it still does of its own is too late */
    }
}

static void seat_write(struct store *s, const struct bp_op_lead *l, const struct seat *t, bool leads)
{
    sql_clear(&s->q);
    if (leads || t->mine)
        sql_add(&s->q, "UPDATE leadership SET epoch=%l, holder=%s, expires_ms=%l, ttl_ms=%l WHERE id=1;", t->epoch,
                leads ? l->id : "", t->expires_ms, t->ttl_ms);
    if (l->resign)
        sql_add(&s->q, "DELETE FROM controllers WHERE id=%s;", l->id);
    else
        sql_add(&s->q,
                "INSERT INTO controllers (id, name, url, version, started_ms, ttl_ms, seen_ms) VALUES "
                "(%s,%s,%s,%s,%l,%l,%l) ON DUPLICATE KEY UPDATE name=VALUES(name), url=VALUES(url), "
                "version=VALUES(version), started_ms=VALUES(started_ms), ttl_ms=VALUES(ttl_ms), "
                "seen_ms=VALUES(seen_ms);",
                l->id, l->name, l->url, l->version, l->started_ms, l->ttl_ms, t->now_ms);
    sql_add(&s->q,
            "DELETE FROM controllers WHERE seen_ms + 3 * ttl_ms < %l;"
            "SELECT c.id, c.name, c.url, c.version, c.started_ms, c.seen_ms, c.id = (SELECT holder FROM leadership "
            "WHERE id=1) FROM controllers c ORDER BY c.started_ms, c.id",
            t->now_ms);
}

static char *put(const char **to, const char *from, char *text)
{
    *to = from ? text : NULL;
    if (!from)
        return text;
    size_t n = strlen(from) + 1;
    memcpy(text, from, n);
    return text + n;
}

static int32_t controllers_take(struct store *s, struct bp_op_lead *l)
{
    struct reply r;
    int32_t rc = query_one(s, &s->q, &r);
    size_t rows = rc ? 0 : (size_t)mysql_num_rows(r.result), bytes = rows * sizeof *l->controllers + 1;
    while (!rc && reply_next(&r))
        for (int i = 0; i < 4; i++)
            bytes += r.row[i] ? strlen(r.row[i]) + 1 : 0;
    if (!rc && !(l->controllers = l->memory = s->host->alloc(bytes)))
        rc = store_nomem(s);
    char *text = rc ? NULL : (char *)(l->controllers + rows);
    if (!rc)
        mysql_data_seek(r.result, 0);
    while (!rc && reply_next(&r)) {
        struct bp_controller_row *c = &l->controllers[l->count++];
        *c = (struct bp_controller_row){.size = sizeof *c, .leader = (int32_t)column_int(&r, 6)};
        c->started_ms = column_int(&r, 4);
        c->seen_ms = column_int(&r, 5);
        text = put(&c->id, r.row[0], text);
        text = put(&c->name, r.row[1], text);
        text = put(&c->url, r.row[2], text);
        text = put(&c->version, r.row[3], text);
    }
    reply_done(&r);
    return rc;
}

int32_t op_lead(struct store *s, struct bp_op *op)
{
    struct bp_op_lead *l = &op->u.lead;
    struct seat t = {0};
    bool leads = false;
    l->leader = 0;
    l->count = 0;
    l->epoch = 0;
    l->controllers = NULL;
    l->memory = NULL;
    if (!l->id || !*l->id || !text_fits(l->id, NAME_MAX_BYTES) || (l->ttl_ms < 1 && !l->resign))
        return op_error(op, BP_INVALID, "a controller needs an id of 1 to 255 bytes and a time to live");
    if (!text_fits(l->name, NAME_MAX_BYTES) || !text_fits(l->version, NAME_MAX_BYTES) || !text_fits(l->url, URL_MAX))
        return op_error(op, BP_INVALID, "the name, version or URL of a controller is too long or not UTF-8");
    int32_t rc = seat_read(s, l->id, &t);
    if (rc)
        return rc;
    decide(l, &t, &leads);
    seat_write(s, l, &t, leads);
    rc = controllers_take(s, l);
    l->leader = leads;
    l->epoch = t.epoch;
    return rc;
}
