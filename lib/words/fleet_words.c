/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_words.c - why a fleet is as it is: what the policy wants, what was asked for, what came of it. */
#include "words/facts.h"

#include "log/json.h"
#include <stdio.h>

static const char *s(int64_t n)
{
    return n == 1 ? "" : "s";
}

static void size_lines(struct json_object *o, const struct fleet_facts *f, int brief)
{
    if (!f->described) {
        explain_line(o, 0, "fleet", "the fleet of %s is not known yet: its provider has not described it", f->workflow);
        return;
    }
    explain_line(o, f->now_ms, "fleet", "%d idle, %d busy, %d booting, %d leaving; %d asked for, at most %d", f->idle,
                 f->busy, f->booting, f->leaving, f->desired, f->max_size);
    if (brief)
        return;
    if (f->policy && f->policy[0])
        explain_line(o, f->planned_ms, "policy", "%s wants %d: %s", f->policy, f->asked,
                     f->reason && f->reason[0] ? f->reason : "no reason given");
    if (f->hold >= 0)
        explain_line(o, f->hold_until_ms, "hold", "held at %d by %s%s", f->hold,
                     f->hold_by ? f->hold_by : "an operator",
                     f->hold_until_ms ? ", until then" : ", until it is released");
    explain_rule_lines(o, f->scale);
    if (f->changed_ms)
        explain_line(o, f->changed_ms, "change", "the last change of size was from %d to %d: %s", f->from, f->to,
                     f->change ? f->change : "");
}

static void failure_lines(struct json_object *o, const struct fleet_facts *f, int brief)
{
    if (f->failures > 0)
        explain_line(o, f->failed_ms, "failure", "%d launch%s failed within 10 min%s%s", f->failures,
                     f->failures == 1 ? "" : "es", !brief && f->failure ? ", the last with: " : "",
                     !brief && f->failure ? f->failure : "");
    if (f->error && f->error[0])
        explain_line(o, 0, "failure", "the fleet cannot be changed%s%s", brief ? "" : ": ", brief ? "" : f->error);
}

static void broken_lines(struct json_object *o, const struct fleet_facts *f, int brief)
{
    if (f->broken <= 0)
        return;
    explain_line(o, 0, "broken", "%d instance%s take%s no job, for the device of %s broken%s%s%s%s", f->broken,
                 s(f->broken), f->broken == 1 ? "s" : "", f->broken == 1 ? "it is" : "each is",
                 brief || !f->broken_instance ? "" : ": ", brief || !f->broken_instance ? "" : f->broken_instance,
                 brief || !f->fault ? "" : " says: ", brief || !f->fault ? "" : f->fault);
}

static void lacking_lines(struct json_object *o, const struct fleet_facts *f, int brief)
{
    if (f->lacking <= 0)
        return;
    explain_line(o, 0, "assets", "%d worker%s take%s no job of %s, for its assets cannot be had%s%s%s%s", f->lacking,
                 s(f->lacking), f->lacking == 1 ? "s" : "", f->workflow, brief ? "" : ": ",
                 brief ? "" : f->lacking_worker, brief ? "" : " says: ", brief ? "" : f->lacks);
}

void explain_fleet_lines(struct json_object *o, const struct fleet_facts *f, int brief)
{
    char so_far[32], usual[32];
    int32_t missing = f->desired - f->idle - f->busy - f->booting;
    size_lines(o, f, brief);
    failure_lines(o, f, brief);
    broken_lines(o, f, brief);
    lacking_lines(o, f, brief);
    if (f->booting > 0 && f->boot_ms && f->boot_s > 0)
        explain_line(o, f->boot_ms, "boot", "%d instance%s boot%s, the first since %s; it usually takes %s", f->booting,
                     s(f->booting), f->booting == 1 ? "s" : "",
                     explain_time((double)(f->now_ms - f->boot_ms) / 1000, so_far), explain_time(f->boot_s, usual));
    if (f->described && missing > 0)
        explain_line(o, 0, "launch", "%d launch%s asked for and not there yet", missing,
                     missing == 1 ? " is" : "es are");
}

struct json_object *explain_fleet_words(const struct fleet_facts *f)
{
    struct json_object *o = json_object_new_object();
    char when[80], every[32];
    int32_t live = f->idle + f->busy + f->booting;
    int64_t ready_ms = f->boot_ms + (int64_t)(f->boot_s * 1000);
    json_put_str(o, "workflow", f->workflow);
    json_object_object_add(o, "because", json_object_new_array());
    explain_line(o, f->planned_ms, "queue", "%lld job%s queued, %lld running", (long long)f->queued, s(f->queued),
                 (long long)f->leased);
    if (!f->served)
        explain_line(o, 0, "plugin", "no plugin serves %s now: bpctl plugin list says why", f->workflow);
    if (f->quarantine)
        explain_line(o, 0, "quarantine", "no job of %s is leased, it is in quarantine: %s", f->workflow, f->quarantine);
    explain_fleet_lines(o, f, 0);
    json_object_object_add(o, "estimate", json_object_new_object());
    explain_span(json_member(o, "estimate"), "backlog", f->now_ms, &f->backlog);
    if (f->queued + f->leased > 0)
        explain_expect(o, f->now_ms, "all of these jobs have ended", &f->backlog);
    explain_cost(o, f, f->queued + f->leased > 0 ? f->instance_s : 0, "to work all of them off");
    explain_sooner(o, f, &f->backlog, "all have ended");
    if (f->draining)
        explain_next(o, 0, "bpd drains: it leases nothing until it runs again");
    else if (f->quarantine)
        explain_next(o, 0, "jobs are leased again after bpctl plugin release %s, or with another version", f->workflow);
    else if (f->booting > 0 && f->boot_ms && ready_ms > f->now_ms)
        explain_next(o, ready_ms, "the next instance is expected ready at %s",
                     explain_moment(ready_ms, f->now_ms, when));
    else if (f->booting > 0)
        explain_next(o, 0, "an instance that boots longer than usual may be ready any moment");
    else if (f->described && live < f->desired)
        explain_next(o, 0, "the provider goes on trying to launch %d", f->desired - live);
    else if (f->leaving > 0)
        explain_next(o, 0, "%d instance%s ended as soon as idle", f->leaving, f->leaving == 1 ? " is" : "s are");
    else
        explain_next(o, 0, "the size is decided anew with each event, and every %s", explain_time(f->tick_s, every));
    return o;
}
