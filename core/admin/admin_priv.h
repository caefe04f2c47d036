/* SPDX-License-Identifier: Apache-2.0 */
/* admin_priv.h - connections, calls and the command table of the operator's socket. All [loop]. */
#ifndef ADMIN_ADMIN_PRIV_H
#define ADMIN_ADMIN_PRIV_H

#include "admin/admin.h"
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <sys/types.h>

#define ADMIN_LINE_MAX 1048576 /* bytes of one request */

/* JSON-RPC 2.0 error codes; those of bp_rc are sent as they are (-1..-14). */
#define RPC_PARSE   (-32700)
#define RPC_REQUEST (-32600)
#define RPC_METHOD  (-32601)
#define RPC_PARAMS  (-32602)

enum admin_privilege { ADMIN_READ = 1, ADMIN_WRITE };

/* One argument of a command. */
enum admin_arg_kind { ARG_END, ARG_WORD, ARG_OPTIONAL, ARG_OPTION, ARG_FLAG };
enum admin_arg_type { ARG_TEXT = 1, ARG_INT, ARG_JSON };
struct admin_arg {
    enum admin_arg_kind kind;
    enum admin_arg_type type;
    const char *name, *help;
};

/* How a column of a listing is written. */
/* LONG: text that is not cut short: the last column. BELOW: on a line of its own under the row, "title: text", where
 * there is any. Such columns come last. */
enum admin_form {
    FORM_TEXT = 1,
    FORM_NUMBER,
    FORM_AGO,
    FORM_PERCENT,
    FORM_YES,
    FORM_SECONDS,
    FORM_CAPITALS,
    FORM_LONG,
    FORM_BELOW
};
struct admin_column {
    const char *title, *key;
    enum admin_form form;
};

struct admin_call;
struct admin_command {
    const char *name; /* "plugin load"; as a JSON-RPC method "plugin.load" */
    enum admin_privilege privilege;
    const char *help;
    void (*run)(struct admin_call *c);
    const struct admin_arg *args; /* ends with ARG_END; NULL: none */
    const char *list;             /* member of the answer that is a listing, "" when the answer is one; NULL: none */
    const struct admin_column *columns; /* ends with title NULL */
};
extern const struct admin_command admin_commands[];
extern const size_t admin_n_commands;

struct admin {
    struct app *app;
    struct evconnlistener *listener;
    struct admin_conn *conns;
    uint32_t n_conns;
    struct checkup *checkup; /* of cmd_doctor */
    char path[108];
};

/* How followed events are written. */
enum feed_form { FEED_JSON = 1, FEED_TEXT, FEED_PLAIN };

struct admin_conn {
    struct admin *admin;
    struct admin_conn *next;
    struct bufferevent *bev;
    struct loop_timer *turn; /* handles lines, and ends the connection */
    struct admin_call *call; /* under way; the next line waits for its end */
    struct feed *feed;       /* events --follow */
    enum feed_form feed_form;
    uid_t uid;
    int may_write;
    int due;     /* turn is armed */
    int closing; /* the other side will send no more */
};

struct admin_call {
    struct admin_conn *conn; /* NULL: the other side went away */
    struct app *app;
    const struct admin_command *command;
    struct json_object *id;     /* of the request, NULL: none */
    struct json_object *params; /* checked against the command's arguments */
    int text;                   /* answer in words (a text member for JSON-RPC) */
    int plain;                  /* the request was plain words */
    char who[32];               /* "operator:UID" */
};

/* conn.c */
void conn_accept(struct admin *a, evutil_socket_t fd);
void conn_free(struct admin_conn *c);
void conn_write(struct admin_conn *c, const char *text, size_t n);
/* Lets the connection go on in the next turn of the loop: with its next lines, or with its end. */
void conn_resume(struct admin_conn *c);
void conn_follow(struct admin_conn *c, const char *pattern, enum feed_form form);

/* rpc.c */
void rpc_line(struct admin_conn *c, const char *line, size_t n);
/* Ends the call. data is consumed (NULL: null). */
void call_ok(struct admin_call *c, struct json_object *data);
/* Ends the call with an error; fields may be NULL. */
void call_fail(struct admin_call *c, int code, const char *message, struct json_object *fields);
/* A dispatch_reply and a host_done that end the call given as arg. */
void call_answer(const struct dispatch_answer *a, void *call);
void call_done(const struct bp_err *err, void *call);

/* args.c: words or an object -> params, NULL with err. */
struct json_object *args_from_words(const struct admin_command *cmd, char **words, size_t n, struct bp_err *err);
struct json_object *args_from_object(const struct admin_command *cmd, struct json_object *given, struct bp_err *err);
void args_usage(const struct admin_command *cmd, char *out, size_t n);

/* commands.c: the longest command the words begin with; *used: how many. NULL with err (nearest name). */
const struct admin_command *command_find(char **words, size_t n, size_t *used, struct bp_err *err);
const struct admin_command *command_of_method(const char *method, struct bp_err *err);

/* text.c: the answer in words, appended to a growing buffer. */
struct evbuffer;
void text_render(struct evbuffer *out, const struct admin_command *cmd, struct json_object *data, int64_t now_ms);

/* event_text.c: "12:01:02.345 job.leased job=7 ...", without a newline; malloc'ed. */
struct event_msg;
char *event_text(const struct event_msg *e);

/* doctor.c: which plugins are at their checks now; outlives admin while one is. */
struct checkup *checkup_new(void);
void checkup_unref(struct checkup *c);

/* Handlers, by noun. */
void cmd_doctor(struct admin_call *c);
void cmd_status(struct admin_call *c);
void cmd_controllers(struct admin_call *c);
void cmd_help(struct admin_call *c);
void cmd_drain(struct admin_call *c);
void cmd_shutdown(struct admin_call *c);
void cmd_config(struct admin_call *c);
void cmd_config_reload(struct admin_call *c);
void cmd_log(struct admin_call *c);
void cmd_log_level(struct admin_call *c);
void cmd_events(struct admin_call *c);
void cmd_metrics(struct admin_call *c);
void cmd_metrics_history(struct admin_call *c);
void cmd_notify_test(struct admin_call *c);
void cmd_workflows(struct admin_call *c);
void cmd_workflow(struct admin_call *c);
void cmd_effects(struct admin_call *c);
void cmd_plugins(struct admin_call *c);
void cmd_plugin_show(struct admin_call *c);
void cmd_plugin_load(struct admin_call *c);
void cmd_plugin_reload(struct admin_call *c);
void cmd_plugin_release(struct admin_call *c);
void cmd_plugin_retire(struct admin_call *c);
void cmd_canary(struct admin_call *c);
void cmd_canaries(struct admin_call *c);
void cmd_scale(struct admin_call *c);
void cmd_scale_hold(struct admin_call *c);
void cmd_scale_release(struct admin_call *c);
void cmd_scale_limit(struct admin_call *c);
void cmd_scale_pause(struct admin_call *c);
void cmd_scale_resume(struct admin_call *c);
void cmd_scale_shadow(struct admin_call *c);
void cmd_scale_adopt(struct admin_call *c);
void cmd_scale_disown(struct admin_call *c);
/* Answers that there is no such workflow, with the nearest name. */
void unknown_workflow(struct admin_call *c, const char *slug);
void cmd_fleet(struct admin_call *c);
void cmd_fleet_ensure(struct admin_call *c);
void cmd_fleet_inject(struct admin_call *c);
void cmd_ami(struct admin_call *c);
void cmd_ami_set(struct admin_call *c);
void cmd_ami_rollout(struct admin_call *c);
void cmd_explain_job(struct admin_call *c);
void cmd_explain_fleet(struct admin_call *c);
void cmd_jobs(struct admin_call *c);
void cmd_job(struct admin_call *c);
void cmd_job_cancel(struct admin_call *c);
void cmd_job_retry(struct admin_call *c);
void cmd_submit(struct admin_call *c);
void cmd_asset_upload(struct admin_call *c);
void cmd_asset_check(struct admin_call *c);
void cmd_upload(struct admin_call *c);
void cmd_workers(struct admin_call *c);
void cmd_worker_change(struct admin_call *c);
void cmd_worker_add(struct admin_call *c);
void cmd_tenants(struct admin_call *c);
void cmd_tenant_show(struct admin_call *c);
void cmd_tenant_add(struct admin_call *c);
void cmd_tenant_set(struct admin_call *c);
void cmd_tenant_disable(struct admin_call *c);
void cmd_tenant_enable(struct admin_call *c);
void cmd_tenant_webhook(struct admin_call *c);
void cmd_token_add(struct admin_call *c);
void cmd_token_list(struct admin_call *c);
void cmd_token_remove(struct admin_call *c);

#endif
