/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_ensure.h - making a fleet and correcting it: image, launch template, group, hook, each compared before it is
 * touched, so that a second time finds nothing to do. */
#ifndef AWS_FLEET_ENSURE_H
#define AWS_FLEET_ENSURE_H

#include "fleet.h"

struct aws_error;
struct json_object;

/* One ensure() on its way. */
struct ensuring {
    struct fleets *f;
    const struct bp_fleet_spec *spec;
    int dry_run;                /* 1: say it only */
    struct json_object *diff;   /* sentences so far */
    char name[FLEET_NAME_SIZE]; /* of the group and of its template */
    char types[1024];           /* "g5.xlarge,g6.xlarge" */
};

/* image.c: what instances are made from. */
struct image {
    char reference[256]; /* as in the template: "resolve:ssm:/bp/..." or the AMI's id */
    char id[64];         /* "" when the AMI could not be looked at */
    char root_device[64];
    int64_t root_gib; /* of its snapshot, 0: unknown */
};
int image_find(const struct ensuring *e, struct image *out, struct bp_err *err);

/* user_data.c: the script that an instance runs at its first boot, base64; free() it. NULL with err. */
char *user_data_make(const struct ensuring *e, struct bp_err *err);

/* launch_template.c */
int launch_template_ensure(const struct ensuring *e, struct bp_err *err);

/* group_ensure.c: the group itself, its tags and suspended processes. */
int group_ensure(const struct ensuring *e, struct bp_err *err);
/* A group that is managed elsewhere: it must be there; what is unlike ours is said. */
int group_adopt(const struct ensuring *e, struct bp_err *err);

/* ensure_error.c: a refusal of `what` that is about one of our settings names it; any other stays as it is. Returns rc.
 */
int ensure_error_tell(const struct ensuring *e, const char *what, const struct aws_error *said, int rc,
                      struct bp_err *err);

/* group_hook.c */
int group_hook_ensure(const struct ensuring *e, int exists, struct bp_err *err);

#endif
