/* SPDX-License-Identifier: Apache-2.0 */
/* image.c - the AMI of a fleet: that it is there, before instances fail for want of it, and what its root volume is. */
#include "client.h"
#include "err.h"
#include "fleet_ensure.h"
#include "form.h"

#include <stdio.h>
#include <string.h>

static int read_parameter(const struct ensuring *e, struct image *i, struct bp_err *err)
{
    const char *name = e->spec->ami_parameter;
    char *value = NULL;
    int rc = params_facet.get_fresh(e->f->aws, name, &value, err);
    if (rc == BP_NOTFOUND)
        return err_set(err, BP_NOTFOUND,
                       "parameter %.80s, that should name the AMI of %.60s, does not exist in %.30s; make it: "
                       "bpctl ami set %.60s AMI",
                       name, e->spec->slug, e->f->aws->settings.region, e->spec->slug);
    if (rc < 0)
        return rc;
    if (strncmp(value, "ami-", 4) == 0 && strlen(value) < sizeof i->id)
        snprintf(i->id, sizeof i->id, "%s", value);
    else
        rc = err_set(err, BP_INVALID,
                     "parameter %.80s holds \"%.40s\", which is no AMI; set it: bpctl ami set %.60s AMI", name, value,
                     e->spec->slug);
    e->f->aws->host->free(value);
    snprintf(i->reference, sizeof i->reference, "resolve:ssm:%s", name);
    return rc;
}

static int missing(const struct ensuring *e, const struct image *i, struct bp_err *err)
{
    const char *parameter = e->spec->ami_parameter;
    return err_set(
        err, BP_NOTFOUND,
        "%.30s, the AMI of %.50s%s%.60s, is not in region %.30s or not shared with this account; copy it there", i->id,
        e->spec->slug, parameter ? " by parameter " : "", parameter ? parameter : "", e->f->aws->settings.region);
}

static void take(struct image *i, const struct xml *x)
{
    snprintf(i->root_device, sizeof i->root_device, "%s", xml_text(x, "rootDeviceName"));
    for (const struct xml *b = xml_first(x, "blockDeviceMapping/item"); b; b = xml_next(b))
        if (strcmp(xml_text(b, "deviceName"), i->root_device) == 0)
            i->root_gib = xml_int(b, "ebs/volumeSize", 0);
}

static int look_at(const struct ensuring *e, struct image *i, struct bp_err *err)
{
    struct reply r = {0};
    char what[96];
    struct form *form = form_new();
    if (!form)
        return err_set(err, BP_NOMEM, "no memory to ask for %.60s", i->id);
    snprintf(what, sizeof what, "image %.60s", i->id);
    form_put(form, i->id, "ImageId.1");
    int rc = client_query(e->f->aws->client, AWS_OP_EC2_DESCRIBE_IMAGES, form, what, &r, err);
    form_free(form);
    const struct xml *x = rc == 0 ? xml_first(r.xml, "imagesSet/item") : NULL;
    if ((rc == 0 && !x) || strncmp(r.error.code, "InvalidAMIID", 12) == 0)
        rc = missing(e, i, err);
    else if (rc == 0)
        take(i, x);
    else if (rc == BP_DENIED && e->f->set.root_device[0]) { /* it is known without */
        AWS_LOG(e->f->aws, BP_LOG_WARN, "%s is not checked: %s", i->id, err->text);
        rc = 0;
    }
    reply_free(&r);
    return rc;
}

int image_find(const struct ensuring *e, struct image *i, struct bp_err *err)
{
    int rc = 0;
    *i = (struct image){0};
    if (!e->spec->ami_parameter && !e->spec->ami_id)
        return err_set(err, BP_INVALID, "%.60s has no image: set workflows.%.60s.amiSsmParameter or .amiId",
                       e->spec->slug, e->spec->slug);
    if (e->spec->ami_parameter) {
        rc = read_parameter(e, i, err);
    } else {
        snprintf(i->id, sizeof i->id, "%s", e->spec->ami_id);
        snprintf(i->reference, sizeof i->reference, "%s", i->id);
    }
    if (rc == 0)
        rc = look_at(e, i, err);
    if (e->f->set.root_device[0])
        snprintf(i->root_device, sizeof i->root_device, "%s", e->f->set.root_device);
    if (rc == 0 && e->f->set.root_gib > 0 && e->f->set.root_gib < i->root_gib)
        rc = err_set(err, BP_INVALID, "plugin.aws.fleet.rootVolumeGiB is %d, but %.60s needs %lld", e->f->set.root_gib,
                     i->id, (long long)i->root_gib);
    return rc;
}
