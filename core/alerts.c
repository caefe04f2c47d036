/* SPDX-License-Identifier: Apache-2.0 */
#include "alerts.h"

#include "log/err.h"
#include "log/json.h"
#include "log/log.h"
#include <bp/cloud.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALERT_RULES     11
#define QUEUE_DOWN_MS   30000
#define ALERTS_MAX      64   /* that wait */
#define TOGETHER_MS     1000 /* what is refused so soon after another is told with it */
#define RETRY_MS        15000
#define TRIES           40 /* ten minutes */
#define SEND_TIMEOUT_MS 30000

/* One message on its way. Owned by the list; a request has a copy. */
struct alert {
    char subject[101], text[900], key[120];
    int tries;
    struct alert *next;
};

/* What failed in a row at a workflow; gone as soon as nothing has, so that in good times there is none. */
struct streak {
    char slug[128];
    int64_t launches, attempts;
    struct streak *next;
};

/* Plugins and workflows that were refused one soon after another, told together: a template that ends takes all of its
 * workflows with it. */
struct refusals {
    uint32_t n;
    char names[400], first[80], why[300]; /* why: the first was */
};

struct alerts {
    struct bus *bus;
    const struct config *config;
    struct subscription *events[ALERT_RULES];
    struct loop_timer *again;
    struct alert *first; /* oldest; the first one is what is being sent */
    uint32_t n;
    int sending;
    struct streak *streaks;
    struct refusals refused;
    struct loop_timer *refusals_over, *queue_down;
    char queue_error[252];
    int queue_told;
};

/* ---- sending, one at a time ---- */

/* On the provider's thread. */
static int run_send(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_notify *t = table;
    const struct alert *m = args;
    return t->send(inst, m->subject, m->text, m->key, err);
}

static void drop_first(struct alerts *a)
{
    struct alert *gone = a->first;
    a->first = gone->next;
    a->n--;
    free(gone);
}

static void took(struct alerts *a, const struct bp_err *err)
{
    struct alert *m = a->first;
    a->sending = 0;
    int again = err->rc < 0 && err->rc != BP_UNSUPPORTED && err->rc != BP_INVALID && ++m->tries < TRIES;
    if (err->rc < 0 && (m->tries == 1 || !again))
        log_warn(LOG_CORE, "operators could not be told \"%s\"%s: %s", m->subject,
                 again ? " yet" : "; it is not tried again", err->text);
    if (!again)
        drop_first(a);
    if (a->first)
        loop_timer_after(a->again, again ? RETRY_MS : 0);
}

static void was_sent(void *args, const struct bp_err *err, void *arg)
{
    (void)args;
    took(arg, err);
}

static void send_first(void *arg)
{
    struct alerts *a = arg;
    struct bp_err err = {0};
    if (a->sending || !a->first)
        return;
    struct alert *copy = malloc(sizeof *copy);
    if (!copy) {
        loop_timer_after(a->again, RETRY_MS);
        return;
    }
    *copy = *a->first;
    struct request_spec spec = {.service = "notify",
                                .name = "notify.send",
                                .run = run_send,
                                .args = copy,
                                .args_free = free,
                                .reply = was_sent,
                                .arg = a,
                                .timeout_ms = SEND_TIMEOUT_MS};
    a->sending = 1;
    if (bus_request(a->bus, &spec, &err) < 0)
        took(a, &err);
}

/* Takes m over. */
static void enqueue(struct alerts *a, struct alert *m)
{
    struct alert **at = &a->first;
    log_warn(LOG_CORE, "alert: %s: %s", m->subject, m->text);
    if (!config_bool(a->config, CONFIG_NOTIFY_ALERTS) || a->n >= ALERTS_MAX) {
        free(m);
        return;
    }
    while (*at)
        at = &(*at)->next;
    *at = m;
    a->n++;
    if (!a->sending && a->first == m)
        loop_timer_after(a->again, 0);
}

/* "key:who" is the key; "bpd <stage>: <words> <who>" the subject. */
BP_PRINTF(5, 6)
static void tell(struct alerts *a, const char *key, const char *words, const char *who, const char *fmt, ...)
{
    struct alert *m = calloc(1, sizeof *m);
    va_list ap;
    if (!m)
        return;
    va_start(ap, fmt);
    vsnprintf(m->text, sizeof m->text, fmt, ap);
    va_end(ap);
    snprintf(m->key, sizeof m->key, "%s:%.80s", key, who);
    snprintf(m->subject, sizeof m->subject, "bpd %.20s: %s %.40s", config_str(a->config, CONFIG_STAGE), words, who);
    enqueue(a, m);
}

/* ---- what is worth it ---- */

static const char *field(const struct event_msg *e, const char *name)
{
    return json_str(event_fields(e), name, "");
}

/* Where the streak of the event's workflow hangs; *it is NULL when it has none. */
static struct streak **streak_at(struct alerts *a, const struct event_msg *e)
{
    const char *slug = field(e, "workflow");
    struct streak **at = &a->streaks;
    while (*at && strcmp((*at)->slug, slug) != 0)
        at = &(*at)->next;
    return at;
}

/* For a failure: made when there is none; NULL without memory. */
static struct streak *streak_of(struct alerts *a, const struct event_msg *e)
{
    struct streak **at = streak_at(a, e);
    if (!*at && (*at = calloc(1, sizeof **at)))
        snprintf((*at)->slug, sizeof(*at)->slug, "%s", field(e, "workflow"));
    return *at;
}

/* Something went well: launches, or else attempts, fail in a row no more. An event without streaks is not even read. */
static void streak_ends(struct alerts *a, const struct event_msg *e, int launches)
{
    struct streak **at = a->streaks ? streak_at(a, e) : NULL, *s = at ? *at : NULL;
    if (!s)
        return;
    *(launches ? &s->launches : &s->attempts) = 0;
    if (s->launches || s->attempts)
        return;
    *at = s->next;
    free(s);
}

static void tell_refused(void *arg)
{
    struct alerts *a = arg;
    struct refusals r = a->refused;
    a->refused = (struct refusals){.n = 0};
    if (r.n == 1)
        tell(a, "plugin-refused", "plugin refused:", r.first,
             "The plugin %s does not serve: %s. See: bpctl plugin show %s", r.first, r.why, r.first);
    else if (r.n > 1)
        tell(a, "plugin-refused", "plugins refused, the first", r.first,
             "%u plugins and workflows do not serve: %s. The first because: %s. See: bpctl plugin", r.n, r.names,
             r.why);
}

static void on_refused(struct alerts *a, const char *name, const char *reason)
{
    struct refusals *r = &a->refused;
    size_t used = strlen(r->names);
    if (r->n++ == 0) {
        snprintf(r->first, sizeof r->first, "%s", name);
        snprintf(r->why, sizeof r->why, "%s", reason);
        loop_timer_after(a->refusals_over, TOGETHER_MS);
    }
    if (used + strlen(name) + 8 < sizeof r->names)
        snprintf(r->names + used, sizeof r->names - used, "%s%s", used ? ", " : "", name);
    else if (used < 4 || strcmp(r->names + used - 4, ", ..") != 0)
        snprintf(r->names + used, sizeof r->names - used, ", ..");
}

static void on_plugin(struct alerts *a, const struct event_msg *e)
{
    const char *name = field(e, "plugin"), *to = field(e, "to"), *reason = field(e, "reason");
    if (strcmp(to, "quarantined") == 0)
        tell(a, "plugin-quarantined", "plugin quarantined:", name,
             "The plugin %s is in quarantine, and of a workflow no job is leased: %s. Queued jobs stay. Put a mended "
             "file "
             "in its place, or: bpctl plugin release %s",
             name, reason, name);
    else if (strcmp(to, "refused") == 0)
        on_refused(a, name, reason);
}

static void on_canary(struct alerts *a, const struct event_msg *e)
{
    const char *slug = field(e, "workflow"), *state = field(e, "state"), *version = field(e, "version");
    if (strcmp(state, "rolled-back") == 0)
        tell(a, "canary-rolled-back", "canary rolled back:", slug,
             "Version %s of %s was tried on real jobs and is not taken: %.500s. No job was harmed. See: bpctl plugin "
             "canary "
             "%s",
             version, slug, field(e, "reason"), slug);
    else if (strcmp(state, "passed") == 0)
        tell(a, "canary-passed", "canary waits:", slug,
             "Version %s of %s did well on real jobs and waits for you: %.500s", version, slug, field(e, "reason"));
}

static void on_launch_failed(struct alerts *a, const struct event_msg *e)
{
    struct streak *s = streak_of(a, e);
    if (!s || ++s->launches != config_int(a->config, CONFIG_NOTIFY_LAUNCH_FAILURES))
        return;
    tell(a, "launch-failures", "launches fail for", s->slug,
         "%lld launches for %s failed in a row, the last one of type %s (%s): %.400s. See: bpctl fleet %s",
         (long long)s->launches, s->slug, field(e, "type"), field(e, "reason"), field(e, "text"), s->slug);
}

static void on_instance(struct alerts *a, const struct event_msg *e)
{
    if (a->streaks && strcmp(field(e, "to"), "running") == 0)
        streak_ends(a, e, 1);
}

static void on_unmade(struct alerts *a, const struct event_msg *e)
{
    const char *slug = field(e, "workflow");
    tell(a, "fleet-unmade", "no fleet for", slug, "The fleet of %s cannot be made as its workflow wants it: %.600s",
         slug, field(e, "error"));
}

static void on_attempt_failed(struct alerts *a, const struct event_msg *e)
{
    struct streak *s = streak_of(a, e);
    if (!s || ++s->attempts != config_int(a->config, CONFIG_NOTIFY_FAILED_JOBS))
        return;
    tell(a, "jobs-fail", "jobs fail for", s->slug,
         "%lld attempts at jobs of %s failed in a row and none succeeded; the last error: %.500s. See: bpctl jobs "
         "--workflow %s --status failed",
         (long long)s->attempts, s->slug, field(e, "error"), s->slug);
}

static void on_completed(struct alerts *a, const struct event_msg *e)
{
    streak_ends(a, e, 0);
}

static void on_unhealthy(struct alerts *a, const struct event_msg *e)
{
    tell(a, "worker-unhealthy", "broken device at", field(e, "worker"),
         "The worker %s takes no job: %.500s. See: bpctl workers. Its instance is replaced unless "
         "scale.replaceUnhealthy is off.",
         field(e, "worker"), field(e, "reason"));
}

static void on_assets_missing(struct alerts *a, const struct event_msg *e)
{
    tell(a, "assets-missing", "no assets for", field(e, "workflow"),
         "The worker %s takes no job of %s, for it cannot have its assets: %.500s. It goes on trying. See: bpctl asset "
         "check %s",
         field(e, "worker"), field(e, "workflow"), field(e, "reason"), field(e, "workflow"));
}

/* A queue that is away for a moment wakes nobody. */
static void queue_still_down(void *arg)
{
    struct alerts *a = arg;
    a->queue_told = 1;
    tell(a, "queue-down", "queue down", "",
         "The queue does not answer: %.600s. Every fleet keeps its size; submits and "
         "workers get 503 until it is back.",
         a->queue_error);
}

static void on_queue(struct alerts *a, const struct event_msg *e)
{
    if (strcmp(field(e, "state"), "down") == 0) {
        snprintf(a->queue_error, sizeof a->queue_error, "%s", field(e, "reason"));
        loop_timer_after(a->queue_down, QUEUE_DOWN_MS);
        return;
    }
    loop_timer_cancel(a->queue_down);
    if (a->queue_told)
        tell(a, "queue-up", "queue is back", "", "The queue answers again.");
    a->queue_told = 0;
}

static const struct {
    enum event_id id;
    void (*heed)(struct alerts *a, const struct event_msg *e);
} rules[] = {
    {EVENT_PLUGIN_STATE, on_plugin},
    {EVENT_FLEET_LAUNCH_FAILED, on_launch_failed},
    {EVENT_FLEET_INSTANCE, on_instance},
    {EVENT_FLEET_UNMADE, on_unmade},
    {EVENT_JOB_RETRY, on_attempt_failed},
    {EVENT_JOB_FAILED, on_attempt_failed},
    {EVENT_JOB_COMPLETED, on_completed},
    {EVENT_QUEUE_STATE, on_queue},
    {EVENT_WORKER_UNHEALTHY, on_unhealthy},
    {EVENT_CANARY_DECIDED, on_canary},
    {EVENT_WORKER_ASSETS_MISSING, on_assets_missing},
};
#define RULES (sizeof rules / sizeof rules[0])
_Static_assert(RULES == ALERT_RULES, "one subscription a rule");

static void on_event(const struct event_msg *e, void *arg)
{
    for (size_t i = 0; i < RULES; i++)
        if (rules[i].id == e->id)
            rules[i].heed(arg, e);
}

/* ---- life ---- */

struct alerts *alerts_new(struct bus *b, const struct config *c)
{
    struct alerts *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->bus = b;
    a->config = c;
    a->again = loop_timer_new(bus_loop(b), "alerts.send", send_first, a);
    a->queue_down = loop_timer_new(bus_loop(b), "alerts.queue", queue_still_down, a);
    a->refusals_over = loop_timer_new(bus_loop(b), "alerts.refused", tell_refused, a);
    for (size_t i = 0; i < RULES; i++)
        a->events[i] = bus_subscribe(b, event_info(rules[i].id)->name, on_event, a);
    return a;
}

void alerts_reconfigure(struct alerts *a, const struct config *c)
{
    a->config = c;
}

void alerts_free(struct alerts *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < RULES; i++)
        bus_unsubscribe(a->events[i]);
    loop_timer_free(a->again);
    loop_timer_free(a->queue_down);
    loop_timer_free(a->refusals_over);
    while (a->first)
        drop_first(a);
    while (a->streaks) {
        struct streak *s = a->streaks;
        a->streaks = s->next;
        free(s);
    }
    free(a);
}
