/* SPDX-License-Identifier: Apache-2.0 */
/* ami.c - the AMI that new instances of a workflow are made from: shown, and set by its SSM parameter. */
#include "aws.h"
#include "client.h"
#include "err.h"
#include "form.h"
#include "rollout.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "ami-" and 8 or 17 hexadecimal digits. */
static int is_ami(const char *text)
{
    size_t n = strncmp(text, "ami-", 4) == 0 ? strspn(text + 4, "0123456789abcdef") : 0;
    return (n == 8 || n == 17) && !text[4 + n];
}

static void put_text(struct json_object *o, const char *name, const char *text)
{
    json_object_object_add(o, name, text ? json_object_new_string(text) : NULL);
}

static void put_flag(struct json_object *o, const char *name, int on)
{
    json_object_object_add(o, name, json_object_new_boolean(on));
}

/* ---- what EC2 says of it ---- */

static int is_missing(const struct aws_error *e)
{
    return strncmp(e->code, "InvalidAMIID", 12) == 0;
}

/* Adds name, state, architecture, created and found. An image that is not there is found: false, not an error. */
static int add_image(struct aws *a, const char *ami, struct json_object *o, struct bp_err *err)
{
    struct reply r = {0};
    char what[96];
    struct form *form = form_new();
    if (!form)
        return err_set(err, BP_NOMEM, "no memory to ask for %.60s", ami);
    snprintf(what, sizeof what, "image %.60s", ami);
    form_put(form, ami, "ImageId.1");
    int rc = client_query(a->client, AWS_OP_EC2_DESCRIBE_IMAGES, form, what, &r, err);
    form_free(form);
    const struct xml *image = rc == 0 ? xml_first(xml_result(r.xml), "imagesSet/item") : NULL;
    if (rc == 0 || is_missing(&r.error)) {
        put_flag(o, "found", image != NULL);
        put_text(o, "name", image ? xml_text(image, "name") : NULL);
        put_text(o, "state", image ? xml_text(image, "imageState") : NULL);
        put_text(o, "architecture", image ? xml_text(image, "architecture") : NULL);
        put_text(o, "created", image ? xml_text(image, "creationDate") : NULL);
        rc = 0;
    }
    reply_free(&r);
    return rc;
}

static int is_usable(struct json_object *o)
{
    struct json_object *found = NULL, *state = NULL;
    json_object_object_get_ex(o, "found", &found);
    json_object_object_get_ex(o, "state", &state);
    return json_object_get_boolean(found) && state && strcmp(json_object_get_string(state), "available") == 0;
}

/* ---- show ---- */

static int show(struct aws *a, const struct bp_fleet_spec *spec, struct json_object *o, struct bp_err *err)
{
    char *ami = NULL;
    int rc = 0;
    put_text(o, "parameter", spec->ami_parameter);
    if (spec->ami_parameter)
        rc = params_facet.get_fresh(a, spec->ami_parameter, &ami, err);
    if (rc < 0)
        return rc;
    const char *shown = spec->ami_parameter ? ami : spec->ami_id;
    put_text(o, "ami", shown);
    if (shown && is_ami(shown))
        rc = add_image(a, shown, o, err);
    a->host->free(ami);
    return rc;
}

/* ---- set ---- */

static int check_set(const struct bp_fleet_spec *spec, const char *ami, struct bp_err *err)
{
    if (!is_ami(ami))
        return err_set(err, BP_INVALID, "\"%.60s\" is no AMI: they look like ami-0123456789abcdef0", ami);
    if (!spec->ami_parameter)
        return err_set(err, BP_CONFLICT,
                       "%.60s has %s%.30s and no amiSsmParameter to write to: set workflows.%.60s.amiSsmParameter",
                       spec->slug, spec->ami_id ? "a fixed amiId " : "no image", spec->ami_id ? spec->ami_id : "",
                       spec->slug);
    if (strncmp(spec->ami_parameter, "/aws/", 5) == 0)
        return err_set(err, BP_CONFLICT,
                       "%.80s is AWS' own and follows AWS: give workflows.%.60s.amiSsmParameter a parameter of yours",
                       spec->ami_parameter, spec->slug);
    return 0;
}

/* What the parameter holds now; not being there yet is no error, and *before is NULL then. */
static int read_before(struct aws *a, const struct bp_fleet_spec *spec, char **before, struct bp_err *err)
{
    int rc = params_facet.get_fresh(a, spec->ami_parameter, before, err);
    return rc == BP_NOTFOUND ? 0 : rc;
}

static int refuse_unusable(const struct aws *a, const char *ami, struct json_object *o, struct bp_err *err)
{
    struct json_object *state = NULL;
    json_object_object_get_ex(o, "state", &state);
    if (state)
        return err_set(err, BP_CONFLICT,
                       "%.60s is %.30s, instances cannot be made from it; --force sets it all the same", ami,
                       json_object_get_string(state));
    return err_set(err, BP_NOTFOUND,
                   "%.60s is not in region %.40s, or not shared with this account: no instance could be made from it; "
                   "copy the image there (--force sets it all the same)",
                   ami, a->settings.region);
}

static int set(struct aws *a, const struct bp_fleet_spec *spec, const char *ami, int force, struct json_object *o,
               struct bp_err *err)
{
    char *before = NULL;
    int rc = check_set(spec, ami, err);
    if (rc < 0 || (rc = add_image(a, ami, o, err)) < 0)
        return rc;
    int usable = is_usable(o);
    if (!usable && !force)
        return refuse_unusable(a, ami, o, err);
    if ((rc = read_before(a, spec, &before, err)) < 0)
        return rc;
    int same = before && strcmp(before, ami) == 0;
    put_text(o, "parameter", spec->ami_parameter);
    put_text(o, "ami", ami);
    put_text(o, "before", before);
    put_flag(o, "changed", !same);
    if (!usable)
        put_text(o, "warning", "no instance can be made from this image as it is: launches will fail");
    if (!same)
        rc = params_facet.put(a, spec->ami_parameter, ami, 0, err);
    a->host->free(before);
    return rc;
}

int32_t fleet_image(void *inst, const struct bp_fleet_spec *spec, const char *ami, int32_t force, char **out,
                    struct bp_err *err)
{
    struct aws *a = inst;
    struct json_object *o = json_object_new_object();
    *out = NULL;
    int rc = ami ? set(a, spec, ami, force, o, err) : show(a, spec, o, err);
    if (rc == 0 && !(*out = aws_text(a, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN))))
        rc = err_set(err, BP_NOMEM, "no memory for the image of %.60s", spec->slug);
    json_object_put(o);
    return rc;
}
