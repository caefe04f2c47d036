/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch_template.c - what an instance of a fleet is made as. A version is never changed: one that differs is followed
 * by a new one, which becomes the default. Its description holds a hash of what it was made from.
 */
#include "client.h"
#include "err.h"
#include "fields.h"
#include "fleet_ensure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DESCRIPTION "bpd "

/* ---- as it should be ---- */

static void join(const struct fleet_settings *s, const char *member, char out[1024])
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; fleet_settings_item(s, member, i) && n < 1024; i++)
        n += (size_t)snprintf(out + n, 1024 - n, "%s%s", i ? "," : "", fleet_settings_item(s, member, i));
}

static void add_profile(struct fields *f, const char *profile)
{
    if (strncmp(profile, "arn:", 4) == 0)
        fields_add(f, FIELD_TEXT, "instance profile", "IamInstanceProfile.Arn", "iamInstanceProfile/arn", profile);
    else
        fields_add(f, FIELD_TEXT, "instance profile", "IamInstanceProfile.Name", "iamInstanceProfile/name", profile);
}

#define EBS      "BlockDeviceMapping.1.Ebs."
#define EBS_PATH "blockDeviceMappingSet/item/ebs/"

static void add_disk(struct fields *f, const struct fleet_settings *s, const struct image *i)
{
    char gib[16] = "";
    if (s->root_gib)
        snprintf(gib, sizeof gib, "%d", s->root_gib);
    fields_add(f, FIELD_TEXT, "root device", "BlockDeviceMapping.1.DeviceName", "blockDeviceMappingSet/item/deviceName",
               i->root_device[0] ? i->root_device : "/dev/xvda");
    fields_add(f, FIELD_TEXT, "root volume's type", EBS "VolumeType", EBS_PATH "volumeType", "gp3");
    fields_add(f, FIELD_TEXT, "root volume's encryption", EBS "Encrypted", EBS_PATH "encrypted", "true");
    fields_add(f, FIELD_TEXT, "root volume's end with the instance", EBS "DeleteOnTermination",
               EBS_PATH "deleteOnTermination", "true");
    fields_add(f, FIELD_TEXT, "root volume's GiB", EBS "VolumeSize", EBS_PATH "volumeSize", gib);
    fields_add(f, FIELD_TEXT, "root volume's key", EBS "KmsKeyId", EBS_PATH "kmsKeyId", s->kms_key);
}

static void add_tags(struct fields *f, const struct ensuring *e)
{
    static const char path[] = "tagSpecificationSet/item/tagSet/item|value";
    char values[512];
    snprintf(values, sizeof values, "%s,%s,%s", e->spec->slug, e->f->aws->settings.stage, e->f->set.project);
    fields_add(f, FIELD_TEXT, "tagged resource", "TagSpecification.1.ResourceType",
               "tagSpecificationSet/item/resourceType", "volume");
    fields_add(f, FIELD_LIST, "volume tags WorkflowSlug, Stage, Project", "TagSpecification.1.Tag.#.Value", path,
               values);
}

static int wanted(const struct ensuring *e, struct fields *f, struct bp_err *err)
{
    const struct fleet_settings *s = &e->f->set;
    struct image image;
    char groups[1024], first[64];
    if (!s->profile[0])
        return err_set(err, BP_INVALID,
                       "plugin.aws.fleet.instanceProfile is not set: workers read the fleet secret by its role");
    int rc = image_find(e, &image, err);
    char *user_data = rc == 0 ? user_data_make(e, err) : NULL;
    if (!user_data)
        return err->rc;
    snprintf(first, sizeof first, "%.*s", (int)strcspn(e->types, ","), e->types);
    join(s, "securityGroups", groups);
    fields_add(f, FIELD_TEXT, "image", "ImageId", "imageId", image.reference);
    fields_add(f, FIELD_TEXT, "instance type", "InstanceType", "instanceType", first);
    add_profile(f, s->profile);
    fields_add(f, FIELD_TEXT, "key", "KeyName", "keyName", s->key_name);
    fields_add(f, FIELD_SET, "security groups", "SecurityGroupId.#", "securityGroupIdSet/item", groups);
    fields_add(f, FIELD_TEXT, "metadata tokens", "MetadataOptions.HttpTokens", "metadataOptions/httpTokens",
               "required");
    fields_add(f, FIELD_TEXT, "metadata endpoint", "MetadataOptions.HttpEndpoint", "metadataOptions/httpEndpoint",
               "enabled");
    fields_add_int(f, "metadata hop limit", "MetadataOptions.HttpPutResponseHopLimit",
                   "metadataOptions/httpPutResponseHopLimit", s->hop_limit);
    add_disk(f, s, &image);
    add_tags(f, e);
    fields_add(f, FIELD_LONG, "user data", "UserData", "userData", user_data);
    free(user_data);
    return f->failed ? err_set(err, BP_NOMEM, "no memory for launch template %.150s", e->name) : 0;
}

/* ---- as it is ---- */

static int is_missing(const struct aws_error *e)
{
    return strncmp(e->code, "InvalidLaunchTemplate", 21) == 0 && strstr(e->code, "NotFound");
}

/* *exists: there is a default version, at xml_first(r->xml, "launchTemplateVersionSet/item"). */
static int read_default(const struct ensuring *e, const char *what, int *exists, struct reply *r, struct bp_err *err)
{
    struct form *form = form_new();
    if (!form)
        return err_set(err, BP_NOMEM, "no memory to describe %.150s", what);
    form_put(form, e->name, "LaunchTemplateName");
    form_put(form, "$Default", "LaunchTemplateVersion.1");
    int rc = client_query(e->f->aws->client, AWS_OP_EC2_DESCRIBE_LAUNCH_TEMPLATE_VERSIONS, form, what, r, err);
    form_free(form);
    *exists = rc == 0 && xml_first(r->xml, "launchTemplateVersionSet/item");
    if (rc < 0 && is_missing(&r->error))
        rc = 0;
    return rc;
}

/* ---- from here to there ---- */

static void put_data(const struct ensuring *e, const struct fields *f, const char *description, struct form *form)
{
    static const char *const keys[] = {"WorkflowSlug", "Stage", "Project"};
    form_put(form, e->name, "LaunchTemplateName");
    form_put(form, description, "VersionDescription");
    fields_put(f, "LaunchTemplateData.", form);
    for (uint32_t k = 0; k < 3; k++)
        form_put(form, keys[k], "LaunchTemplateData.TagSpecification.1.Tag.%u.Key", k + 1);
}

static void put_own_tags(const struct ensuring *e, struct form *form)
{
    const char *const tags[][2] = {
        {"WorkflowSlug", e->spec->slug}, {"Stage", e->f->aws->settings.stage}, {"Project", e->f->set.project}};
    form_put(form, "launch-template", "TagSpecification.1.ResourceType");
    for (uint32_t k = 0; k < 3; k++) {
        form_put(form, tags[k][0], "TagSpecification.1.Tag.%u.Key", k + 1);
        form_put(form, tags[k][1], "TagSpecification.1.Tag.%u.Value", k + 1);
    }
}

static int set_default(const struct ensuring *e, const char *version, const char *what, struct bp_err *err)
{
    struct reply r = {0};
    struct form *form = form_new();
    if (!form)
        return err_set(err, BP_NOMEM, "no memory to change %.150s", what);
    form_put(form, e->name, "LaunchTemplateName");
    form_put(form, version, "SetDefaultVersion");
    int rc = client_query(e->f->aws->client, AWS_OP_EC2_MODIFY_LAUNCH_TEMPLATE, form, what, &r, err);
    form_free(form);
    reply_free(&r);
    return rc;
}

static int make(const struct ensuring *e, const struct fields *f, const char *description, int exists, const char *what,
                struct bp_err *err)
{
    struct reply r = {0};
    struct form *form = form_new();
    if (!form)
        return err_set(err, BP_NOMEM, "no memory to make %.150s", what);
    put_data(e, f, description, form);
    if (!exists)
        put_own_tags(e, form);
    int rc = client_query(e->f->aws->client,
                          exists ? AWS_OP_EC2_CREATE_LAUNCH_TEMPLATE_VERSION : AWS_OP_EC2_CREATE_LAUNCH_TEMPLATE, form,
                          what, &r, err);
    form_free(form);
    if (rc < 0)
        rc = ensure_error_tell(e, what, &r.error, rc, err);
    else if (exists)
        rc = set_default(e, xml_text(r.xml, "launchTemplateVersion/versionNumber"), what, err);
    reply_free(&r);
    return rc;
}

/* Says what differs; 1 when something does. */
static int compare(const struct ensuring *e, const struct fields *f, const char *description, const struct xml *version,
                   const char *what)
{
    if (!version) {
        diff_say(e->diff, "create %s", what);
        return 1;
    }
    if (strcmp(xml_text(version, "versionDescription"), description) == 0)
        return 0;
    if (!fields_compare(f, what, xml_at(version, "launchTemplateData"), e->diff))
        diff_say(e->diff, "%s: its version %s was not made by this bpd; a new one becomes the default", what,
                 xml_text(version, "versionNumber"));
    return 1;
}

int launch_template_ensure(const struct ensuring *e, struct bp_err *err)
{
    struct fields f = {0};
    struct reply r = {0};
    char what[FLEET_NAME_SIZE + 20], hash[17], description[sizeof DESCRIPTION + 16];
    int exists = 0;
    snprintf(what, sizeof what, "launch template %s", e->name);
    int rc = wanted(e, &f, err);
    if (rc == 0 && (rc = read_default(e, what, &exists, &r, err)) == 0) {
        fields_hash(&f, hash);
        snprintf(description, sizeof description, DESCRIPTION "%s", hash);
        int differs =
            compare(e, &f, description, exists ? xml_first(r.xml, "launchTemplateVersionSet/item") : NULL, what);
        if (differs && !e->dry_run)
            rc = make(e, &f, description, exists, what, err);
    }
    reply_free(&r);
    fields_free(&f);
    return rc;
}
