/* SPDX-License-Identifier: Apache-2.0 */
/* commands.c - the one table of commands: the parser, `help`, bash completion, docs and bpctl all read it. */
#include "admin_priv.h"

#include "log/err.h"
#include "log/json.h"
#include <stdio.h>
#include <string.h>

#define WORDS_OF_A_COMMAND 3

#define END                                                                                                            \
    {                                                                                                                  \
        ARG_END, 0, NULL, NULL                                                                                         \
    }
#define LAST                                                                                                           \
    {                                                                                                                  \
        NULL, NULL, 0                                                                                                  \
    }

static const struct admin_arg slug_args[] = {{ARG_WORD, ARG_TEXT, "workflow", "slug of the workflow"}, END};
static const struct admin_arg maybe_slug_args[] = {{ARG_OPTIONAL, ARG_TEXT, "workflow", "only this one"}, END};
static const struct admin_arg id_args[] = {{ARG_WORD, ARG_INT, "id", "number of the job"}, END};
static const struct admin_arg release_args[] = {
    {ARG_WORD, ARG_TEXT, "name", "name of the plugin, or a workflow's slug"}, END};
static const struct admin_arg name_args[] = {{ARG_WORD, ARG_TEXT, "name", "name of the plugin"}, END};
static const struct admin_arg file_args[] = {{ARG_WORD, ARG_TEXT, "file", "path of the .so, as the daemon sees it"},
                                             END};
static const struct admin_arg jobs_args[] = {
    {ARG_OPTION, ARG_TEXT, "workflow", "only this workflow"},
    {ARG_OPTION, ARG_TEXT, "tenant", "only this tenant"},
    {ARG_OPTION, ARG_TEXT, "status", "scheduled queued leased completed failed cancelled"},
    {ARG_OPTION, ARG_INT, "limit", "how many, 1 to 1000 (20)"},
    {ARG_OPTION, ARG_INT, "before", "only jobs with a smaller number"},
    END};
static const struct admin_arg submit_args[] = {{ARG_WORD, ARG_JSON, "body", "the job, as for POST /api/jobs"},
                                               {ARG_OPTION, ARG_TEXT, "tenant", "whose job it is (local)"},
                                               END};
static const struct admin_arg upload_args[] = {{ARG_WORD, ARG_JSON, "body", "the file, as for POST /api/uploads"},
                                               {ARG_OPTION, ARG_TEXT, "tenant", "whose file it is (local)"},
                                               END};
static const struct admin_arg asset_args[] = {{ARG_WORD, ARG_JSON, "body", "{\"sha256\", \"bytes\"} of the file"}, END};
static const struct admin_arg worker_args[] = {
    {ARG_WORD, ARG_TEXT, "change", "approve revoke drain undrain remove rotate-token"},
    {ARG_WORD, ARG_TEXT, "worker", "id of the worker"},
    END};
static const struct admin_arg worker_add_args[] = {{ARG_WORD, ARG_TEXT, "worker", "id of the worker"},
                                                   {ARG_WORD, ARG_TEXT, "workflows", "slugs it may run, with commas"},
                                                   {ARG_OPTION, ARG_INT, "concurrency", "jobs at once (1)"},
                                                   {ARG_OPTION, ARG_TEXT, "name", "what it is called (its id)"},
                                                   END};
static const struct admin_arg tenant_args[] = {{ARG_WORD, ARG_TEXT, "tenant", "name of the tenant"}, END};
static const struct admin_arg tenant_webhook_args[] = {
    {ARG_WORD, ARG_TEXT, "tenant", "name of the tenant"},
    {ARG_FLAG, 0, "rotate", "make the next key first; the one before goes on signing too"},
    END};
static const struct admin_arg tenant_put_args[] = {
    {ARG_WORD, ARG_TEXT, "tenant", "name of the tenant"},
    {ARG_OPTION, ARG_INT, "weight", "of its fair share, 1 to 1000 (1)"},
    {ARG_OPTION, ARG_INT, "max-pending", "jobs that have not ended; 0: unlimited"},
    {ARG_OPTION, ARG_INT, "max-running", "jobs that run at once; 0: unlimited"},
    {ARG_OPTION, ARG_TEXT, "webhook", "URL told of each job that ends; empty: none"},
    END};
static const struct admin_arg token_add_args[] = {{ARG_WORD, ARG_TEXT, "tenant", "name of the tenant"},
                                                  {ARG_OPTION, ARG_TEXT, "label", "what it is for"},
                                                  {ARG_OPTION, ARG_INT, "days", "how long it is good; 0: for ever (0)"},
                                                  END};
static const struct admin_arg token_args[] = {
    {ARG_WORD, ARG_TEXT, "tenant", "name of the tenant"}, {ARG_WORD, ARG_INT, "id", "number of the token"}, END};
static const struct admin_arg hold_args[] = {{ARG_WORD, ARG_TEXT, "workflow", "slug of the workflow"},
                                             {ARG_WORD, ARG_INT, "size", "instances to keep"},
                                             {ARG_OPTION, ARG_INT, "for", "seconds; without it until released"},
                                             END};
static const struct admin_arg limit_args[] = {{ARG_WORD, ARG_TEXT, "workflow", "slug of the workflow"},
                                              {ARG_OPTION, ARG_INT, "min", "least instances"},
                                              {ARG_OPTION, ARG_INT, "max", "most instances; busy ones stay"},
                                              {ARG_OPTION, ARG_INT, "for", "seconds; without it until resumed"},
                                              END};
static const struct admin_arg pause_args[] = {{ARG_WORD, ARG_TEXT, "workflow", "slug of the workflow"},
                                              {ARG_WORD, ARG_TEXT, "way", "in: none goes; out: none comes"},
                                              {ARG_OPTION, ARG_INT, "for", "seconds; without it until resumed"},
                                              END};
static const struct admin_arg shadow_args[] = {{ARG_WORD, ARG_TEXT, "workflow", "slug of the workflow"},
                                               {ARG_WORD, ARG_TEXT, "policy", "a built-in policy; off ends it"},
                                               END};
static const struct admin_arg fleet_ensure_args[] = {
    {ARG_OPTIONAL, ARG_TEXT, "workflow", "slug of the workflow; without it each"},
    {ARG_FLAG, ARG_TEXT, "dry-run", "only say what differs"},
    END};
static const struct admin_arg ami_set_args[] = {
    {ARG_WORD, ARG_TEXT, "workflow", "slug of the workflow"},
    {ARG_WORD, ARG_TEXT, "ami", "image that new instances are made from, ami-..."},
    {ARG_FLAG, ARG_TEXT, "force", "also when no instance can be made from it here and now"},
    END};
static const struct admin_arg rollout_args[] = {
    {ARG_WORD, ARG_TEXT, "workflow", "slug of the workflow"},
    {ARG_FLAG, ARG_TEXT, "follow", "show how it goes until it ends (bpctl), also of one under way"},
    {ARG_FLAG, ARG_TEXT, "status", "start nothing: how the last one goes or went"},
    {ARG_FLAG, ARG_TEXT, "abort", "end the one under way; what was replaced stays replaced"},
    END};
static const struct admin_arg inject_args[] = {
    {ARG_WORD, ARG_TEXT, "workflow", "slug of the workflow"},
    {ARG_WORD, ARG_TEXT, "what", "fail-launches no-capacity boot-delay never-register rebalance interrupt storm kill"},
    {ARG_OPTIONAL, ARG_TEXT, "value", "a number, milliseconds, or an instance id"},
    END};
static const struct admin_arg canary_args[] = {
    {ARG_WORD, ARG_TEXT, "workflow", "slug of the workflow"},
    {ARG_OPTIONAL, ARG_TEXT, "what", "a share of the jobs like 10%, promote, or abort; none: how it does"},
    {ARG_OPTION, ARG_TEXT, "file", "the new version, an absolute path (NAME.canary.so beside the plugin's file)"},
    {ARG_OPTION, ARG_INT, "jobs", "good trials that promote it (canary.jobs)"},
    END};
static const struct admin_arg events_args[] = {
    {ARG_OPTIONAL, ARG_TEXT, "match", "event name, or a prefix with star: job.*"},
    {ARG_OPTION, ARG_INT, "last", "how many past ones (20)"},
    {ARG_FLAG, 0, "follow", "go on with new ones"},
    END};
static const struct admin_arg log_args[] = {{ARG_OPTION, ARG_INT, "last", "how many lines (50)"}, END};
static const struct admin_arg history_args[] = {{ARG_WORD, ARG_TEXT, "workflow", "slug of the workflow"},
                                                {ARG_WORD, ARG_TEXT, "metric", "QueueDepth say; see metrics"},
                                                {ARG_OPTION, ARG_INT, "minutes", "how far back, 1 to 100000 (60)"},
                                                END};
static const struct admin_arg notify_args[] = {{ARG_OPTIONAL, ARG_TEXT, "text", "what it says"}, END};
static const struct admin_arg doctor_args[] = {{ARG_OPTION, ARG_INT, "timeout", "seconds it may take, 2 to 120 (20)"},
                                               END};
static const struct admin_arg level_args[] = {{ARG_WORD, ARG_TEXT, "levels", "info, or host=debug,http=warn,info"},
                                              END};
static const struct admin_arg key_args[] = {{ARG_OPTIONAL, ARG_TEXT, "key", "only keys with this prefix"}, END};

static const struct admin_column workflow_columns[] = {
    {"WORKFLOW", "workflow", FORM_TEXT}, {"PLUGIN", "plugin", FORM_TEXT},
    {"GEN", "generation", FORM_NUMBER},  {"QUEUED", "queued", FORM_NUMBER},
    {"LEASED", "leased", FORM_NUMBER},   {"DESIRED", "desired", FORM_NUMBER},
    {"RUNNING", "running", FORM_NUMBER}, {"POLICY", "policy", FORM_TEXT},
    {"WHY", "reason", FORM_TEXT},        LAST};
static const struct admin_column fleet_ensure_columns[] = {
    {"WORKFLOW", "workflow", FORM_TEXT}, {"STATE", "state", FORM_TEXT}, {"WHAT", "text", FORM_LONG}, LAST};
static const struct admin_column ami_columns[] = {
    {"WORKFLOW", "workflow", FORM_TEXT},   {"AMI", "ami", FORM_TEXT},     {"FOUND", "found", FORM_YES},
    {"STATE", "state", FORM_TEXT},         {"NAME", "name", FORM_TEXT},   {"CREATED", "created", FORM_TEXT},
    {"PARAMETER", "parameter", FORM_TEXT}, {"ERROR", "error", FORM_TEXT}, LAST};
static const struct admin_column controller_columns[] = {
    {"CONTROLLER", "name", FORM_TEXT}, {"URL", "url", FORM_TEXT},
    {"LEADS", "leader", FORM_YES},     {"THIS", "this", FORM_YES},
    {"VERSION", "version", FORM_TEXT}, {"UP", "started_ms", FORM_AGO},
    {"SEEN", "seen_ms", FORM_AGO},     LAST};
static const struct admin_column check_columns[] = {
    {"STATUS", "status", FORM_CAPITALS}, {"CHECK", "check", FORM_TEXT},
    {"RESULT", "text", FORM_LONG},       {"called", "operation", FORM_BELOW},
    {"on", "resource", FORM_BELOW},      {"needs", "permission", FORM_BELOW},
    {"remedy", "remedy", FORM_BELOW},    LAST};
static const struct admin_column job_columns[] = {{"JOB", "id", FORM_NUMBER},
                                                  {"TENANT", "tenant", FORM_TEXT},
                                                  {"WORKFLOW", "workflow", FORM_TEXT},
                                                  {"STATUS", "status", FORM_TEXT},
                                                  {"DONE", "progress", FORM_PERCENT},
                                                  {"ATTEMPTS", "attempts", FORM_NUMBER},
                                                  {"PRIO", "priority", FORM_NUMBER},
                                                  {"WAITS", "waits_for", FORM_NUMBER},
                                                  {"UNIQUE", "unique_key", FORM_TEXT},
                                                  {"AGE", "created_at", FORM_AGO},
                                                  {"WORKER", "worker", FORM_TEXT},
                                                  {"ERROR", "error", FORM_TEXT},
                                                  LAST};
static const struct admin_column tenant_columns[] = {
    {"TENANT", "tenant", FORM_TEXT},         {"WEIGHT", "weight", FORM_NUMBER},
    {"PENDING", "max_pending", FORM_NUMBER}, {"RUNNING", "max_running", FORM_NUMBER},
    {"SCHEDULED", "scheduled", FORM_NUMBER}, {"QUEUED", "queued", FORM_NUMBER},
    {"LEASED", "leased", FORM_NUMBER},       {"DISABLED", "disabled", FORM_YES},
    {"WEBHOOK", "webhook", FORM_TEXT},       LAST};
static const struct admin_column token_columns[] = {
    {"TOKEN", "id", FORM_NUMBER},        {"LABEL", "label", FORM_TEXT},        {"CREATED", "created_at", FORM_TEXT},
    {"USED", "last_used_at", FORM_TEXT}, {"EXPIRES", "expires_at", FORM_TEXT}, LAST};
static const struct admin_column timeline_columns[] = {{"AT", "at", FORM_TEXT},
                                                       {"WHAT", "what", FORM_TEXT},
                                                       {"WHO", "who", FORM_TEXT},
                                                       {"DETAIL", "detail", FORM_TEXT},
                                                       LAST};
static const struct admin_column worker_columns[] = {{"WORKER", "worker_id", FORM_TEXT},
                                                     {"FLEET", "fleet", FORM_TEXT},
                                                     {"WORKFLOWS", "workflows", FORM_TEXT},
                                                     {"APPROVED", "approved", FORM_YES},
                                                     {"DRAINING", "draining", FORM_YES},
                                                     {"LEASES", "live_leases", FORM_NUMBER},
                                                     {"MOST", "max_concurrency", FORM_NUMBER},
                                                     {"SEEN", "last_seen_ms", FORM_AGO},
                                                     {"FAULT", "fault", FORM_TEXT},
                                                     LAST};
static const struct admin_column asset_columns[] = {{"ASSET", "name", FORM_TEXT},
                                                    {"BYTES", "bytes", FORM_NUMBER},
                                                    {"OBJECT", "object", FORM_TEXT},
                                                    {"STATE", "state", FORM_TEXT},
                                                    LAST};
static const struct admin_column canary_columns[] = {
    {"WORKFLOW", "workflow", FORM_TEXT}, {"VERSION", "version", FORM_TEXT},
    {"FROM", "from_version", FORM_TEXT}, {"STATE", "state", FORM_TEXT},
    {"SHARE", "percent", FORM_NUMBER},   {"GOOD", "good", FORM_NUMBER},
    {"OF", "jobs", FORM_NUMBER},         {"BAD", "bad", FORM_NUMBER},
    {"WHY", "why", FORM_LONG},           LAST};
static const struct admin_column trial_columns[] = {
    {"JOB", "job", FORM_NUMBER},       {"AGO", "at_ms", FORM_AGO},
    {"OUTCOME", "outcome", FORM_TEXT}, {"OLD MS", "old_ms", FORM_NUMBER},
    {"NEW MS", "new_ms", FORM_NUMBER}, {"WORKER", "worker", FORM_TEXT},
    {"WHAT", "text", FORM_LONG},       LAST};
static const struct admin_column plugin_columns[] = {
    {"PLUGIN", "name", FORM_TEXT},      {"KIND", "kind", FORM_TEXT},
    {"VERSION", "version", FORM_TEXT},  {"STATE", "state", FORM_TEXT},
    {"GEN", "generation", FORM_NUMBER}, {"SERVICES", "services", FORM_TEXT},
    {"REASON", "reason", FORM_TEXT},    LAST};
static const struct admin_column because_columns[] = {
    {"WHEN", "at", FORM_TEXT}, {"WHAT", "what", FORM_TEXT}, {"WHY", "text", FORM_LONG}, LAST};
static const struct admin_column scale_columns[] = {
    {"WORKFLOW", "workflow", FORM_TEXT},    {"DESIRED", "desired", FORM_NUMBER}, {"QUEUED", "queued", FORM_NUMBER},
    {"LEASED", "leased", FORM_NUMBER},      {"WORKERS", "workers", FORM_NUMBER}, {"POLICY", "policy", FORM_TEXT},
    {"CHANGED", "last_scale_ms", FORM_AGO}, {"WHY", "reason", FORM_TEXT},        LAST};
static const struct admin_column metric_columns[] = {{"WORKFLOW", "workflow", FORM_TEXT}, {"METRIC", "name", FORM_TEXT},
                                                     {"VALUE", "value", FORM_NUMBER},     {"UNIT", "unit", FORM_TEXT},
                                                     {"AGE", "at_ms", FORM_AGO},          LAST};
static const struct admin_column sample_columns[] = {{"AGE", "at_ms", FORM_AGO}, {"VALUE", "value", FORM_NUMBER}, LAST};
static const struct admin_column config_columns[] = {
    {"KEY", "key", FORM_TEXT}, {"VALUE", "value", FORM_TEXT}, {"FROM", "origin", FORM_TEXT}, LAST};
static const struct admin_column help_columns[] = {{"COMMAND", "usage", FORM_TEXT}, {"", "help", FORM_TEXT}, LAST};
static const struct admin_column effect_columns[] = {
    {"EFFECT", "effect", FORM_TEXT}, {"WORKFLOW", "workflow", FORM_TEXT}, {"NAME", "name", FORM_TEXT}, LAST};

const struct admin_command admin_commands[] = {
    {"help", ADMIN_READ, "list the commands", cmd_help, NULL, "", help_columns},
    {"status", ADMIN_READ, "how the daemon is: ready, queue, fleets, plugins", cmd_status, NULL, NULL, NULL},
    {"controllers", ADMIN_READ, "controllers on the same queue, and which one leads", cmd_controllers, NULL, "",
     controller_columns},
    {"workflows", ADMIN_READ, "workflows with queue, fleet and the reason of its size", cmd_workflows, NULL, "",
     workflow_columns},
    {"workflow", ADMIN_READ, "one workflow: manifest, params, plugin", cmd_workflow, slug_args, NULL, NULL},
    {"effects", ADMIN_READ, "effects tenants can pick", cmd_effects, NULL, "", effect_columns},
    {"workers", ADMIN_READ, "registered workers", cmd_workers, NULL, "workers", worker_columns},
    {"worker", ADMIN_WRITE, "change a worker: approve revoke drain undrain remove rotate-token", cmd_worker_change,
     worker_args, NULL, NULL},
    {"worker add", ADMIN_WRITE, "make a worker with a token, shown once, instead of its registering", cmd_worker_add,
     worker_add_args, NULL, NULL},
    {"tenant", ADMIN_READ, "tenants with their weights, limits (0: none) and jobs", cmd_tenants, NULL, "tenants",
     tenant_columns},
    {"tenant list", ADMIN_READ, "the same", cmd_tenants, NULL, "tenants", tenant_columns},
    {"tenant show", ADMIN_READ, "one tenant", cmd_tenant_show, tenant_args, NULL, NULL},
    {"tenant add", ADMIN_WRITE, "make a tenant", cmd_tenant_add, tenant_put_args, NULL, NULL},
    {"tenant set", ADMIN_WRITE, "change what is given of a tenant", cmd_tenant_set, tenant_put_args, NULL, NULL},
    {"tenant disable", ADMIN_WRITE, "refuse a tenant's tokens and submits; what it has runs on", cmd_tenant_disable,
     tenant_args, NULL, NULL},
    {"tenant enable", ADMIN_WRITE, "take them again", cmd_tenant_enable, tenant_args, NULL, NULL},
    {"tenant webhook", ADMIN_WRITE, "a tenant's webhook, and the key its receiver checks signatures with",
     cmd_tenant_webhook, tenant_webhook_args, NULL, NULL},
    {"tenant token add", ADMIN_WRITE, "make a token for a tenant, shown once", cmd_token_add, token_add_args, NULL,
     NULL},
    {"tenant token list", ADMIN_READ, "a tenant's tokens, without the tokens themselves", cmd_token_list, tenant_args,
     "tokens", token_columns},
    {"tenant token remove", ADMIN_WRITE, "void a token: here at once, elsewhere within seconds", cmd_token_remove,
     token_args, NULL, NULL},
    {"jobs", ADMIN_READ, "jobs, newest first", cmd_jobs, jobs_args, "jobs", job_columns},
    {"job", ADMIN_READ, "one job with its timeline", cmd_job, id_args, "timeline", timeline_columns},
    {"job cancel", ADMIN_WRITE, "cancel a job: at once when it waits, else when its worker stops", cmd_job_cancel,
     id_args, NULL, NULL},
    {"job retry", ADMIN_WRITE, "queue a failed or cancelled job again", cmd_job_retry, id_args, NULL, NULL},
    {"explain job", ADMIN_READ, "why a job is where it is, when it starts and ends, what happens next", cmd_explain_job,
     id_args, "because", because_columns},
    {"explain fleet", ADMIN_READ, "why a fleet is as it is, and what happens next", cmd_explain_fleet, slug_args,
     "because", because_columns},
    {"submit", ADMIN_WRITE, "submit a job (bpctl submit is easier to type)", cmd_submit, submit_args, NULL, NULL},
    {"upload", ADMIN_WRITE, "where an input may be uploaded to", cmd_upload, upload_args, NULL, NULL},
    {"asset upload", ADMIN_WRITE, "where an asset may be uploaded to (bpctl asset put FILE does it all)",
     cmd_asset_upload, asset_args, NULL, NULL},
    {"asset check", ADMIN_READ, "are a workflow's assets where its manifest says, and do its workers have them",
     cmd_asset_check, slug_args, "assets", asset_columns},
    {"plugin", ADMIN_READ, "plugins and their states", cmd_plugins, NULL, "", plugin_columns},
    {"plugin list", ADMIN_READ, "the same", cmd_plugins, NULL, "", plugin_columns},
    {"plugin show", ADMIN_READ, "one plugin: manifest, history, mailbox", cmd_plugin_show, name_args, NULL, NULL},
    {"plugin load", ADMIN_WRITE, "load a plugin file", cmd_plugin_load, file_args, NULL, NULL},
    {"plugin reload", ADMIN_WRITE, "start a plugin's file anew beside the old one, then switch", cmd_plugin_reload,
     name_args, NULL, NULL},
    {"plugin release", ADMIN_WRITE, "end the quarantine of a plugin or a workflow", cmd_plugin_release, release_args,
     NULL, NULL},
    {"plugin retire", ADMIN_WRITE, "drain a plugin and stop it", cmd_plugin_retire, name_args, NULL, NULL},
    {"plugin canary", ADMIN_READ, "try a new version on a share of a workflow's jobs, and see how it does", cmd_canary,
     canary_args, "trials", trial_columns},
    {"plugin canaries", ADMIN_READ, "new versions that are or were tried", cmd_canaries, maybe_slug_args, "",
     canary_columns},
    {"scale", ADMIN_READ, "desired sizes and why", cmd_scale, maybe_slug_args, "", scale_columns},
    {"scale hold", ADMIN_WRITE, "keep a fleet at a size", cmd_scale_hold, hold_args, NULL, NULL},
    {"scale release", ADMIN_WRITE, "end a hold", cmd_scale_release, slug_args, NULL, NULL},
    {"scale limit", ADMIN_WRITE, "keep a fleet within sizes, whatever its policy says", cmd_scale_limit, limit_args,
     NULL, NULL},
    {"scale pause", ADMIN_WRITE, "let no instance go, or none come", cmd_scale_pause, pause_args, NULL, NULL},
    {"scale resume", ADMIN_WRITE, "end limits and pauses", cmd_scale_resume, slug_args, NULL, NULL},
    {"scale shadow", ADMIN_WRITE, "run a second policy beside the one that decides; scale --json shows it",
     cmd_scale_shadow, shadow_args, NULL, NULL},
    {"scale adopt", ADMIN_WRITE, "let the shadow decide", cmd_scale_adopt, slug_args, NULL, NULL},
    {"scale disown", ADMIN_WRITE, "let the policy of the settings decide again", cmd_scale_disown, slug_args, NULL,
     NULL},
    {"fleet", ADMIN_READ, "fleets with their instances", cmd_fleet, maybe_slug_args, NULL, NULL},
    {"fleet ensure", ADMIN_WRITE, "hold fleets against their workflows and correct what differs", cmd_fleet_ensure,
     fleet_ensure_args, "", fleet_ensure_columns},
    {"fleet inject", ADMIN_WRITE, "make trouble on purpose (local cloud only)", cmd_fleet_inject, inject_args, NULL,
     NULL},
    {"ami", ADMIN_READ, "what new instances of each workflow are made from", cmd_ami, maybe_slug_args, "", ami_columns},
    {"ami set", ADMIN_WRITE, "make a workflow's new instances from another image", cmd_ami_set, ami_set_args, NULL,
     NULL},
    {"ami rollout", ADMIN_WRITE, "replace instances by new ones, without ending one that works", cmd_ami_rollout,
     rollout_args, NULL, NULL},
    {"events", ADMIN_READ, "what happened, and with --follow what happens", cmd_events, events_args, NULL, NULL},
    {"metrics", ADMIN_READ, "the last published metrics", cmd_metrics, NULL, "", metric_columns},
    {"metrics history", ADMIN_READ, "past samples of one metric, from where they are kept", cmd_metrics_history,
     history_args, "", sample_columns},
    {"notify test", ADMIN_WRITE, "send the operators a message, to see that it arrives", cmd_notify_test, notify_args,
     NULL, NULL},
    {"doctor", ADMIN_READ, "try what bpd needs: queue, disk, plugins, cloud; each failure with its remedy", cmd_doctor,
     doctor_args, "checks", check_columns},
    {"log", ADMIN_READ, "the last log lines", cmd_log, log_args, NULL, NULL},
    {"log level", ADMIN_WRITE, "set log levels until the next reload", cmd_log_level, level_args, NULL, NULL},
    {"config", ADMIN_READ, "every setting, its value and where it came from", cmd_config, key_args, "", config_columns},
    {"config reload", ADMIN_WRITE, "read the settings again; a bad file changes nothing", cmd_config_reload, NULL, NULL,
     NULL},
    {"drain", ADMIN_WRITE, "take no more submits and lease no more jobs", cmd_drain, NULL, NULL, NULL},
    {"shutdown", ADMIN_WRITE, "drain and end the daemon", cmd_shutdown, NULL, NULL, NULL},
};
const size_t admin_n_commands = sizeof admin_commands / sizeof admin_commands[0];

static const struct admin_command *by_name(const char *name)
{
    for (size_t i = 0; i < admin_n_commands; i++)
        if (strcmp(admin_commands[i].name, name) == 0)
            return &admin_commands[i];
    return NULL;
}

static const struct admin_command *unknown(const char *name, struct bp_err *err)
{
    const char *names[128];
    size_t n = 0;
    for (; n < admin_n_commands && n < 128; n++)
        names[n] = admin_commands[n].name;
    const char *near = nearest_name(name, names, n);
    if (near)
        err_set(err, BP_NOTFOUND, "unknown command \"%.60s\"; did you mean \"%s\"? See help", name, near);
    else
        err_set(err, BP_NOTFOUND, "unknown command \"%.60s\"; see help", name);
    return NULL;
}

const struct admin_command *command_find(char **words, size_t n, size_t *used, struct bp_err *err)
{
    for (size_t k = n < WORDS_OF_A_COMMAND ? n : WORDS_OF_A_COMMAND; k > 1; k--) {
        char name[128];
        size_t at = 0;
        for (size_t i = 0; i < k && at < sizeof name; i++)
            at += (size_t)snprintf(name + at, sizeof name - at, "%s%s", i ? " " : "", words[i]);
        const struct admin_command *c = at < sizeof name ? by_name(name) : NULL;
        *used = k;
        if (c)
            return c;
    }
    *used = 1;
    const struct admin_command *c = by_name(words[0]);
    return c ? c : unknown(words[0], err);
}

const struct admin_command *command_of_method(const char *method, struct bp_err *err)
{
    char name[128];
    snprintf(name, sizeof name, "%s", method);
    for (char *p = name; *p; p++)
        if (*p == '.')
            *p = ' ';
    const struct admin_command *c = by_name(name);
    return c ? c : unknown(name, err);
}
