/* SPDX-License-Identifier: Apache-2.0 */
/* params_check.c - can the fleet's secret be read? */
#include "checks.h"

#include <json-c/json.h>
#include <stdio.h>

/* The value itself goes nowhere. */
void params_checks(struct aws *a, struct checks *k)
{
    char name[160], what[192];
    struct reply r = {0};
    struct bp_err err = {0};
    struct json_object *in = json_object_new_object();
    snprintf(name, sizeof name, "/bp/%.64s/fleet-secret", a->settings.stage);
    snprintf(what, sizeof what, "parameter %s", name);
    check_begin(k, "fleet-secret", AWS_OP_SSM_GET_PARAMETER, "%s", what);
    json_object_object_add(in, "Name", json_object_new_string(name));
    json_object_object_add(in, "WithDecryption", json_object_new_boolean(1));
    int rc = client_json(a->client, AWS_OP_SSM_GET_PARAMETER, in, what, &r, &err);
    json_object_put(in);
    if (rc == BP_NOTFOUND)
        check_warn(k, "make it as a SecureString where workers.fleetSecret names it (param:...)", "it is not there");
    else if (rc < 0)
        check_failed(k, rc, &r, &err);
    else
        check_ok(k, "it can be read");
    reply_wipe(&r);
}
