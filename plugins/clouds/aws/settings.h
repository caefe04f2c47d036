/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h - the plugin's settings, read once from bp_host.config(); never changed afterwards, read by any thread. */
#ifndef AWS_SETTINGS_H
#define AWS_SETTINGS_H

#include <bp/plugin.h>

struct json_object;

/*
 * Settings of a part live in that part's own manifest members and are read by the part from `json` with the functions
 * below, so that this struct stays small: what everybody needs.
 */
struct settings {
    struct json_object *json; /* the whole object; owns every string */
    const char *region, *profile;
    int profile_chosen;      /* 1: by plugin.aws.profile, which goes before keys in the environment */
    const char *region_from; /* which setting it is of, in words */
    char profile_region[40]; /* of the shared config file, when region is that */
    int in_worker;           /* runs in bpd --role worker */
    const char *stage, *url, *instance_id, *fleet; /* about the daemon, from the member "_bpd" */
};

/* Reads the JSON text. BP_INVALID names the member. settings_close() it. */
int settings_open(struct settings *s, const char *text, struct bp_err *err);
/* Then, where no region was set: the one that the profile of the shared files names, if any. */
void settings_region_of_profile(struct settings *s);
void settings_close(struct settings *s);
/* One member; absent ones have the value given. Text is borrowed. */
const char *settings_str(const struct settings *s, const char *name, const char *otherwise);
int64_t settings_int(const struct settings *s, const char *name, int64_t otherwise);
double settings_num(const struct settings *s, const char *name, double otherwise);
int settings_bool(const struct settings *s, const char *name, int otherwise);
struct json_object *settings_member(const struct settings *s, const char *name); /* borrowed, NULL: absent */

#endif
