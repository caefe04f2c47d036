/* SPDX-License-Identifier: Apache-2.0 */
#include "bind.h"

#include "json.h"

#include <bp/workflow.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH_BYTES 16 /* of a name: 32 digits */

/* ---- values ---- */

static int32_t wrong_value(const struct property *p, const char *what, struct bp_err *err)
{
    return bp_error(err, BP_INVALID, "the value of %.80s must be %s", p->key, what);
}

/* A text that is to be a number or a truth, as that. */
static struct json_object *converted(enum property_type type, const char *text)
{
    char *end = NULL;
    if (type == PROPERTY_BOOLEAN) {
        int yes = !strcmp(text, "true") || !strcmp(text, "1"), no = !strcmp(text, "false") || !strcmp(text, "0");
        return yes || no ? json_object_new_boolean(yes) : NULL;
    }
    errno = 0;
    if (type == PROPERTY_INTEGER) {
        long long i = strtoll(text, &end, 10);
        return end != text && !*end && errno == 0 ? json_object_new_int64(i) : NULL;
    }
    double d = strtod(text, &end);
    return end != text && !*end && d - d == 0 ? json_object_new_double_s(d, text) : NULL;
}

/* The value as its property's type has it; *out is the caller's. */
static int32_t typed(const struct property *p, struct json_object *v, struct json_object **out, struct bp_err *err)
{
    enum json_type t = json_object_get_type(v);
    int number = t == json_type_int || t == json_type_double;
    if (t == json_type_object || t == json_type_array)
        return wrong_value(p, "a text, a number, true or false", err);
    if (p->type == PROPERTY_TEXT || (p->type == PROPERTY_BOOLEAN && t == json_type_boolean) ||
        (p->type == PROPERTY_INTEGER && t == json_type_int) || (p->type == PROPERTY_NUMBER && number))
        *out = json_object_get(v);
    else if (p->type == PROPERTY_INTEGER && t == json_type_double &&
             json_object_get_double(v) == (double)json_object_get_int64(v))
        *out = json_object_new_int64(json_object_get_int64(v));
    else
        *out = t == json_type_string ? converted(p->type, json_object_get_string(v)) : NULL;
    if (*out)
        return BP_OK;
    return wrong_value(p, p->type == PROPERTY_BOOLEAN ? "true or false" : "a number", err);
}

static int32_t bind_value(struct bound *b, const struct property *p, struct json_object *params, struct bp_err *err)
{
    struct value *out = &b->values[b->n_values];
    struct json_object *v = p->configurable ? json_member(params, p->key) : NULL;
    if (!v || json_object_is_type(v, json_type_null))
        v = p->fallback;
    *out = (struct value){.placeholder = p->placeholder, .key = p->key};
    b->n_values++;
    if (v)
        return typed(p, v, &out->json, err);
    if (!p->configurable && (p->required || p->type != PROPERTY_TEXT))
        return bp_error(err, BP_INVALID, "settings: the property %.80s has no default_value", p->key);
    if (p->required || p->type != PROPERTY_TEXT)
        return bp_error(err, BP_BADINPUT, "the param %.80s is needed", p->key);
    out->json = json_object_new_string("");
    return BP_OK;
}

/* ---- files ---- */

/* SHA-256 of a file's content, the first HASH_BYTES of it in hexadecimal, and its size. */
static int32_t hash_file(struct file *f, char out[HASH_BYTES * 2 + 1], struct bp_err *err)
{
    unsigned char part[65536], digest[EVP_MAX_MD_SIZE] = {0};
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    int bad = fd < 0 || !md || !EVP_DigestInit_ex(md, EVP_sha256(), NULL);
    f->bytes = 0;
    while (!bad) {
        ssize_t n = read(fd, part, sizeof part);
        if (n < 0 && errno == EINTR)
            continue;
        bad = n < 0 || !EVP_DigestUpdate(md, part, n > 0 ? (size_t)n : 0);
        if (n <= 0)
            break;
        f->bytes += n;
    }
    bad = bad || !EVP_DigestFinal_ex(md, digest, NULL);
    int e = errno;
    EVP_MD_CTX_free(md);
    if (fd >= 0)
        close(fd);
    if (bad)
        return bp_error(err, f->from_job ? BP_IO : BP_INVALID, "the file of %.80s cannot be read: %s", f->key,
                        strerror(e));
    for (int i = 0; i < HASH_BYTES; i++)
        snprintf(out + i * 2, 3, "%02x", digest[i]);
    return BP_OK;
}

/* The ending of a name in lower case, by which ComfyUI's nodes tell what a file is; "" where it has no sane one. */
static void ending_of(const char *name, char out[12])
{
    const char *dot = strrchr(name, '.');
    size_t n = 0;
    for (const char *p = dot ? dot + 1 : ""; *p; p++) {
        char c = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
        if (n > 7 || !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) {
            n = 0;
            break;
        }
        out[++n] = c;
    }
    out[n ? n + 1 : 0] = '\0';
    if (n)
        out[0] = '.';
}

static const char *ending_of_mime(const char *mime)
{
    static const char *const known[][2] = {
        {"image/jpeg", ".jpg"},      {"image/png", ".png"},   {"image/webp", ".webp"}, {"image/gif", ".gif"},
        {"image/bmp", ".bmp"},       {"image/tiff", ".tiff"}, {"video/mp4", ".mp4"},   {"video/webm", ".webm"},
        {"video/quicktime", ".mov"}, {"audio/wav", ".wav"},   {"audio/x-wav", ".wav"}, {"audio/mpeg", ".mp3"},
        {"audio/flac", ".flac"},     {"audio/ogg", ".ogg"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i][0], mime) == 0)
            return known[i][1];
    return "";
}

/* Gives a file that is to be uploaded its name in ComfyUI. */
static int32_t name_file(struct file *f, const char *original, const char *mime, struct bp_err *err)
{
    char hash[HASH_BYTES * 2 + 1], ending[12];
    int32_t rc = hash_file(f, hash, err);
    if (rc < 0)
        return rc;
    if (f->bytes == 0)
        return bp_error(err, f->from_job ? BP_BADINPUT : BP_INVALID, "the file of %.80s is empty", f->key);
    ending_of(original, ending);
    snprintf(f->name, sizeof f->name, "bpd-%s%s", hash, *ending ? ending : ending_of_mime(mime));
    return BP_OK;
}

static int32_t set_path(struct file *f, const char *dir, const char *name, struct bp_err *err)
{
    int relative = *name != '/' && *dir;
    if ((size_t)snprintf(f->path, sizeof f->path, "%s%s%s", relative ? dir : "", relative ? "/" : "", name) >=
        sizeof f->path)
        return bp_error(err, BP_INVALID, "the path of the file of %.80s is too long", f->key);
    return BP_OK;
}

/* A name in ComfyUI's input folder may have folders before it, but leads nowhere else. */
static int32_t take_there(struct file *f, const char *name, struct bp_err *err)
{
    if (!*name || *name == '/' || strstr(name, "..") || strlen(name) >= sizeof f->name)
        return bp_error(err, BP_INVALID, "settings: in_comfyui of %.80s must be a name in ComfyUI's input folder",
                        f->key);
    snprintf(f->name, sizeof f->name, "%s", name);
    return BP_OK;
}

/* The file of a property: input is the job's, or NULL where it gave none. *found 0: there is none, and none is needed.
 */
static int32_t find_file(struct file *f, const struct settings *s, const struct property *p,
                         const struct bp_job_input *input, struct bp_err *err)
{
    f->key = p->key;
    f->from_job = input != NULL;
    if (!input && p->in_comfyui)
        return take_there(f, p->in_comfyui, err);
    if (!input && !p->fallback)
        return bp_error(err, p->configurable ? BP_BADINPUT : BP_INVALID,
                        p->configurable ? "the file %.80s is needed, and none was given"
                                        : "settings: the file %.80s has neither default_value nor in_comfyui",
                        p->key);
    const char *name = input ? input->path : json_object_get_string(p->fallback);
    int32_t rc = set_path(f, input ? "" : s->dir, name, err);
    return rc < 0 ? rc : name_file(f, input ? input->name : name, input ? input->mime : "", err);
}

static int32_t bind_file(struct bound *b, const struct settings *s, const struct property *p,
                         const struct bp_job_input *input, struct bp_err *err)
{
    struct file *f = &b->files[b->n_files];
    int32_t rc = find_file(f, s, p, input, err);
    if (rc < 0)
        return rc;
    char reference[FILE_NAME_MAX * 2];
    snprintf(reference, sizeof reference, "%.200s%s", s->input_prefix, f->name);
    b->values[b->n_values++] =
        (struct value){.placeholder = p->placeholder, .key = p->key, .json = json_object_new_string(reference)};
    b->n_files++;
    if (p->primary)
        snprintf(b->primary, sizeof b->primary, "%s", reference);
    return BP_OK;
}

/* ---- the job ---- */

static const struct property *primary_of(const struct settings *s)
{
    for (uint32_t i = 0; i < s->n_properties; i++)
        if (s->properties[i].primary)
            return &s->properties[i];
    return NULL;
}

/* Which of the job's inputs is whose: to[i] is 1 + the input's number of property i, 0 where it gets none. Returns how
 * many inputs can be taken. */
static uint32_t hand_out(const struct settings *s, int with_primary, uint32_t n_inputs, uint32_t to[PROPERTIES_MAX])
{
    uint32_t next = with_primary ? 1 : 0;
    for (uint32_t i = 0; i < s->n_properties; i++) {
        const struct property *p = &s->properties[i];
        to[i] = 0;
        if (p->type != PROPERTY_FILE || (!p->primary && !p->configurable))
            continue;
        uint32_t at = p->primary ? 0 : next++;
        to[i] = at < n_inputs ? at + 1 : 0;
    }
    return next;
}

/* A file that need not be given and has no default is no error where its placeholder is in no node. */
static int skipped(const struct property *p, int given, struct json_object *graph)
{
    return p->type == PROPERTY_FILE && !given && !p->required && !p->fallback && !p->in_comfyui &&
           !graph_has(graph, p->placeholder);
}

int32_t bind_job(struct bound *b, const struct settings *s, const struct bp_job *job, struct json_object *params,
                 struct json_object *graph, struct bp_err *err)
{
    memset(b, 0, sizeof *b);
    uint32_t to[PROPERTIES_MAX];
    /* The first input of a workflow without properties of its own for it, as the field's payloads have it. */
    struct property plain = {
        .key = "input", .placeholder = s->input_placeholder, .type = PROPERTY_FILE, .configurable = 1, .primary = 1};
    int implied = !primary_of(s) && (s->input_node || graph_has(graph, s->input_placeholder));
    uint32_t room = hand_out(s, implied || primary_of(s), job->n_inputs, to);
    if (job->n_inputs > room)
        return bp_error(err, BP_BADINPUT, "%u files were given; this workflow takes at most %u", job->n_inputs, room);
    int32_t rc = implied ? bind_file(b, s, &plain, job->n_inputs ? &job->inputs[0] : NULL, err) : BP_OK;
    for (uint32_t i = 0; i < s->n_properties && rc == BP_OK; i++) {
        const struct property *p = &s->properties[i];
        if (p->type != PROPERTY_FILE)
            rc = bind_value(b, p, params, err);
        else if (!skipped(p, to[i] != 0, graph))
            rc = bind_file(b, s, p, to[i] ? &job->inputs[to[i] - 1] : NULL, err);
    }
    return rc;
}

void bound_free(struct bound *b)
{
    for (uint32_t i = 0; i < b->n_values; i++)
        json_object_put(b->values[i].json);
    b->n_values = 0;
}
