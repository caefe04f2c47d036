/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h - the plugin's settings, read once from bp_host.config(); never changed afterwards, read by any thread. */
#ifndef LOCAL_SETTINGS_H
#define LOCAL_SETTINGS_H

#include <bp/plugin.h>

struct json_object;

struct settings {
    struct json_object *json; /* owns every string and array below */
    const char *bpd, *url, *device, *zone, *objects_dir;
    struct json_object *plugins_dirs, *worker_args, *instance_types; /* arrays of strings */
    double boot_delay_s, notice_s, terminate_grace_s, launch_retry_s, ended_report_s, stop_grace_s, notify_dedup_s;
    int64_t max_instances, max_object_bytes, min_free_bytes, metrics_days, max_log_bytes, log_files, notify_per_minute;
    int spot, stop_on_exit;
    /* About the daemon, from the member "_bpd". */
    int in_worker;
    const char *stage, *daemon_state_dir, *fleet_secret_file, *instance_id, *workflows_dir;
};

/* Reads the JSON text; absent members have the manifest's defaults. BP_INVALID names the member. settings_close() it.
 */
int settings_open(struct settings *s, const char *text, struct bp_err *err);
void settings_close(struct settings *s);

#endif
