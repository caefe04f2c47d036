/* SPDX-License-Identifier: Apache-2.0 */
/* check_manifest.c - what the manifest says, and what a reader would miss in it. */
#include "check.h"

#include "dispatch/mime.h"
#include "log/err.h"
#include "pluginfile/facet.h"
#include "vetting/definition.h"
#include "vetting/settings.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CORRECT "correct the manifest and build it again"
#define DAY_S   86400

static void problem(void *arg, const struct bp_err *err)
{
    struct check *c = arg;
    finding_add(&c->found, FINDING_ERROR, "manifest", CORRECT, "%s", err->text);
}

/* The file has no usable manifest: every reason for it. */
static void wrong(struct check *c)
{
    const char *text;
    size_t bytes;
    struct bp_err err = {0};
    struct json_object *json = NULL;
    if (plugin_file_text(&c->file, &text, &bytes, &err) == BP_OK && bytes <= MANIFEST_MAX_BYTES)
        json = json_parse(text, bytes, &err);
    int before = c->found.errors;
    if (json)
        manifest_problems(json, problem, c);
    if (c->found.errors == before)
        finding_add(&c->found, FINDING_ERROR, "manifest", CORRECT, "%s", c->file.wrong.text);
    json_object_put(json);
}

/* ---- what a workflow should say ---- */

static int is_semver(const char *s)
{
    for (int part = 0; part < 3; part++) {
        size_t n = strspn(s, "0123456789");
        if (n == 0 || (n > 1 && *s == '0'))
            return 0;
        s += n;
        if (part < 2 && *s++ != '.')
            return 0;
    }
    return *s == '\0' || ((*s == '-' || *s == '+') && isalnum((unsigned char)s[1]));
}

/* FAMILY.SIZE: g4dn.xlarge, p5.48xlarge, u-6tb1.metal. */
static int is_instance_type(const char *s)
{
    const char *dot = strchr(s, '.');
    size_t family = dot ? (size_t)(dot - s) : 0;
    const char *letters = "abcdefghijklmnopqrstuvwxyz0123456789-";
    return family > 1 && isalpha((unsigned char)*s) && strspn(s, letters) == family && dot[1] &&
           strspn(dot + 1, letters) == strlen(dot + 1);
}

static void expected(struct check *c)
{
    static const struct {
        const char *key, *without, *remedy;
    } rows[] = {
        {"displayName", "tenants and operators see the slug", "add \"displayName\": \"What People Call It\""},
        {"summary", "nobody is told what it does", "add \"summary\": one sentence"},
        {"accepts", "tenants may give files of any type",
         "add \"accepts\": [\"image/*\"], say, or [] when it takes none"},
        {"produces", "its output has no type, and no file is uploaded for a job without inputs",
         "add \"produces\": \"image/png\", say"},
        {"params", "any object is taken as params, and misspelt ones are not told",
         "add \"params\": {\"type\": \"object\", \"properties\": {}}"},
        {"timeoutSeconds", "a run that hangs is ended after an hour",
         "add \"timeoutSeconds\" with the longest good run"},
        {"instanceTypes", "the cloud plugin chooses the machines", "add \"instanceTypes\": [\"g4dn.xlarge\"], say"},
        {"maxSize", "its fleet has one instance at most", "add \"maxSize\""},
        {"license", "nobody knows who may use it", "add \"license\": \"Apache-2.0\", say"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!json_member(c->file.manifest->json, rows[i].key))
            finding_add(&c->found, FINDING_WARNING, "manifest", rows[i].remedy, "\"%s\" is missing: %s", rows[i].key,
                        rows[i].without);
}

static void mime_type(struct check *c, const char *key, const char *mime, int pattern)
{
    static const char *const known[] = {"application/gzip", "application/json", "application/octet-stream",
                                        "application/pdf",  "application/zip",  "audio/aac",
                                        "audio/flac",       "audio/mp4",        "audio/mpeg",
                                        "audio/ogg",        "audio/opus",       "audio/wav",
                                        "audio/webm",       "audio/x-wav",      "image/apng",
                                        "image/avif",       "image/bmp",        "image/gif",
                                        "image/heic",       "image/heif",       "image/jpeg",
                                        "image/jxl",        "image/png",        "image/svg+xml",
                                        "image/tiff",       "image/webp",       "model/gltf-binary",
                                        "model/gltf+json",  "model/obj",        "model/stl",
                                        "text/csv",         "text/html",        "text/markdown",
                                        "text/plain",       "video/3gpp",       "video/av1",
                                        "video/mp2t",       "video/mp4",        "video/mpeg",
                                        "video/ogg",        "video/quicktime",  "video/webm",
                                        "video/x-flv",      "video/x-ivf",      "video/x-matroska",
                                        "video/x-ms-asf",   "video/x-ms-wmv",   "video/x-msvideo"};
    static const char *const tops[] = {"image/", "video/", "audio/", "text/", "application/", "model/", "font/"};
    size_t top = 0;
    int star = pattern && strlen(mime) > 2 && strcmp(mime + strlen(mime) - 2, "/*") == 0;
    if (!mime_is_valid(mime) && !star) {
        finding_add(&c->found, FINDING_ERROR, "manifest", "write type/subtype, like image/png",
                    "\"%s\" has \"%.80s\", which is no MIME type", key, mime);
        return;
    }
    while (top < sizeof tops / sizeof tops[0] && strncmp(mime, tops[top], strlen(tops[top])) != 0)
        top++;
    if (top == sizeof tops / sizeof tops[0] && strcmp(mime, "*/*") != 0)
        finding_add(&c->found, FINDING_WARNING, "manifest",
                    "image, video, audio, text, application, model and font are known",
                    "\"%s\" has \"%.80s\", and no file is of such a type", key, mime);
    int is_known = 0;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        is_known |= strcmp(known[i], mime) == 0;
    const char *near = star || is_known ? NULL : nearest_name(mime, known, sizeof known / sizeof known[0]);
    if (near)
        finding_add(&c->found, FINDING_WARNING, "manifest", "write the registered name of the type",
                    "\"%s\" has \"%.80s\"; did you mean \"%s\"?", key, mime, near);
}

static void mime_types(struct check *c, const char *key, int pattern)
{
    struct json_object *v = json_member(c->file.manifest->json, key);
    if (v && json_object_is_type(v, json_type_string))
        mime_type(c, key, json_object_get_string(v), pattern);
    for (size_t i = 0; v && json_object_is_type(v, json_type_array) && i < json_object_array_length(v); i++)
        mime_type(c, key, json_object_get_string(json_object_array_get_idx(v, i)), pattern);
}

static void instance_types(struct check *c)
{
    struct json_object *list = json_member(c->file.manifest->json, "instanceTypes");
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        const char *s = json_object_get_string(json_object_array_get_idx(list, i));
        if (!is_instance_type(s))
            finding_add(&c->found, FINDING_WARNING, "manifest", "write FAMILY.SIZE, like g4dn.xlarge",
                        "\"instanceTypes\" has \"%.80s\", which does not look like an instance type", s);
    }
}

static void workflow(struct check *c)
{
    const struct manifest *m = c->file.manifest;
    int64_t timeout = json_int(m->json, "timeoutSeconds", 0);
    expected(c);
    mime_types(c, "accepts", 1);
    mime_types(c, "produces", 0);
    instance_types(c);
    if (timeout > DAY_S)
        finding_add(&c->found, FINDING_WARNING, "manifest", "set the longest good run",
                    "\"timeoutSeconds\" is %lld: a run that hangs holds its machine for %.1f days", (long long)timeout,
                    (double)timeout / DAY_S);
    if (strcmp(json_str(m->json, "policy", ""), "plugin") == 0 && !manifest_has_facet(m, "bp.scaling/1"))
        finding_add(&c->found, FINDING_ERROR, "manifest", "list the facet bp.scaling/1, or name another policy",
                    "\"policy\" is \"plugin\", but it offers no facet bp.scaling/1 to decide with");
}

/* ---- every kind ---- */

static void abi(struct check *c)
{
    uint32_t minor = BP_ABI_MINOR(c->file.manifest->abi);
    if (minor > BP_ABI_MINOR(BP_ABI_VERSION))
        finding_add(&c->found, FINDING_WARNING, "abi", "check it with a bpctl of that version too",
                    "it is built for ABI %u.%u, newer than this bpctl's %u.%u: what is new in it was not checked",
                    BP_ABI_MAJOR(c->file.manifest->abi), minor, BP_ABI_MAJOR(BP_ABI_VERSION),
                    BP_ABI_MINOR(BP_ABI_VERSION));
    else
        finding_add(&c->found, FINDING_OK, "abi", NULL, "built for ABI %u.%u, this is %u.%u",
                    BP_ABI_MAJOR(c->file.manifest->abi), minor, BP_ABI_MAJOR(BP_ABI_VERSION),
                    BP_ABI_MINOR(BP_ABI_VERSION));
}

static void facet_names(struct check *c)
{
    const char *names[FACETS];
    struct bp_err err = {0};
    const struct manifest *m = c->file.manifest;
    struct json_object *list = json_member(m->json, "facets");
    for (int i = 0; i < FACETS; i++)
        names[i] = facets[i].id;
    if (facet_check_manifest(m, &err) < 0)
        problem(c, &err);
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        const char *id = json_object_get_string(json_object_array_get_idx(list, i));
        const char *near = facet_find(id) < 0 ? nearest_name(id, names, FACETS) : NULL;
        if (facet_find(id) < 0)
            finding_add(&c->found, FINDING_WARNING, "manifest", "list facets of bp/*.h",
                        "\"facets\" has \"%.64s\", which this version does not know%s%s%s", id,
                        near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    if (!manifest_lists_facets(m))
        finding_add(&c->found, FINDING_WARNING, "manifest", "list what it offers, [\"bp.job/1\"], say",
                    "\"facets\" is missing: what it offers is known only once its code runs");
}

static void version(struct check *c)
{
    const char *name = strrchr(c->file.path, '/') + 1;
    const struct manifest *m = c->file.manifest;
    size_t n = strlen(m->name);
    if (!is_semver(m->version))
        finding_add(&c->found, FINDING_WARNING, "manifest", "write MAJOR.MINOR.PATCH, like 1.0.0",
                    "\"version\" is \"%s\": people cannot tell which of two is newer", m->version);
    if (strncmp(name, m->name, n) != 0 || strcmp(name + n, ".so") != 0)
        finding_add(&c->found, FINDING_WARNING, "manifest", "call the file after its plugin",
                    "the file is called %.80s, its plugin %s", name, m->name);
}

struct json_object *check_settings(struct check *c)
{
    struct bp_err err = {0};
    struct json_object *settings = settings_resolve(c->file.manifest, c->settings, &err);
    if (settings)
        return settings;
    int given = strstr(err.text, "required") != NULL;
    finding_add(&c->found, given ? FINDING_WARNING : FINDING_ERROR, "settings",
                given ? "give what it needs with --settings JSON"
                      : "correct the table \"config\" of the manifest, or --settings",
                "%s", err.text);
    return NULL;
}

void check_manifest(struct check *c)
{
    if (!c->file.manifest) {
        wrong(c);
        return;
    }
    int before = c->found.errors + c->found.warnings;
    abi(c);
    facet_names(c);
    version(c);
    if (c->file.manifest->kind == KIND_WORKFLOW && !c->file.manifest->is_template) {
        workflow(c);
        check_params(c);
    }
    if (c->found.errors + c->found.warnings == before)
        finding_add(&c->found, FINDING_OK, "manifest", NULL, "%s %s, a %s plugin", c->file.manifest->name,
                    c->file.manifest->version, kind_name(c->file.manifest->kind));
}

/* ---- a workflow that is a file ---- */

/* malloc'ed, NULL with err. */
static char *text_read(const char *path, size_t *n, struct bp_err *err)
{
    FILE *f = fopen(path, "re");
    char *text = f ? malloc(DEFINITION_MAX_BYTES + 1) : NULL;
    if (!text)
        err_set(err, BP_IO, "cannot read %.160s: %s", path, strerror(errno));
    else
        *n = fread(text, 1, DEFINITION_MAX_BYTES + 1, f);
    if (f)
        fclose(f);
    if (!text || *n <= DEFINITION_MAX_BYTES)
        return text;
    free(text);
    err_set(err, BP_INVALID, "%.160s has more than %d bytes", path, DEFINITION_MAX_BYTES);
    return NULL;
}

static struct manifest *defined(struct check *c, const char *path, struct bp_err *err)
{
    size_t n = 0;
    struct manifest *m = NULL;
    const struct manifest *template = c->file.manifest;
    char *own = realpath(path, NULL), *text = text_read(own ? own : path, &n, err);
    struct definition *d = text ? definition_read(own ? own : path, text, n, err) : NULL;
    if (d && !template->is_template)
        err_set(err, BP_INVALID, "%s is no template (\"template\": true), so no file can define a workflow of it",
                template->name);
    else if (d && strcmp(definition_plugin(d), template->name) != 0)
        err_set(err, BP_INVALID, "%.100s is for the plugin %s, this one is %s", path, definition_plugin(d),
                template->name);
    else if (d)
        m = definition_apply(d, template, err);
    definition_free(d);
    free(text);
    free(own);
    return m;
}

int check_define(struct check *c, const char *path)
{
    struct bp_err err = {0};
    struct manifest *m = defined(c, path, &err);
    if (!m) {
        finding_add(&c->found, FINDING_ERROR, "workflow", "correct the file", "%s", err.text);
        return -1;
    }
    manifest_free(c->file.manifest);
    c->file.manifest = m;
    return 0;
}
