/* SPDX-License-Identifier: Apache-2.0 */
/* steps.c - what comes before and after a prompt: ComfyUI is there, the files are in place, the output is fetched. */
#include "clock.h"
#include "comfy.h"
#include "history.h"
#include "json.h"
#include "words.h"

#include <bp/workflow.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define ASK_MS 500 /* between two tries to reach ComfyUI */

/* ---- is it there ---- */

/* BP_OK, or why it is not: BP_LATER where waiting may help. */
static int32_t ask(struct comfy *c, struct bp_err *err)
{
    struct answer a;
    int32_t rc = http_get(c->http, "/system_stats", &a, err);
    if (rc < 0)
        return rc == BP_TIMEOUT || rc == BP_FAIL ? BP_LATER : rc;
    if (a.status < 200 || a.status > 299)
        rc = bp_error(err, BP_LATER, "ComfyUI at %.100s answers %ld to /system_stats", c->set.url, a.status);
    answer_free(&a);
    return rc;
}

int32_t comfy_await(struct comfy *c, struct bp_err *err)
{
    int64_t end = clock_ms() + (int64_t)c->set.start_s * 1000;
    for (;;) {
        int32_t rc = ask(c, err);
        if (rc != BP_LATER)
            return rc;
        if (clock_ms() >= end) {
            bp_job_log(c->job, BP_LOG_ERROR, "%s (waited %d s)", err->text, c->set.start_s);
            return rc;
        }
        struct bp_err stop;
        rc = comfy_tell(c, 0, "waiting for ComfyUI", &stop);
        if (rc < 0) {
            *err = stop;
            return rc;
        }
        clock_sleep_ms(ASK_MS);
    }
}

/* ---- files ---- */

/* "/view?filename=..&subfolder=..&type=..". False: no memory, or too long. */
static int view_path(struct comfy *c, const char *name, const char *subfolder, const char *type, char *out, size_t n)
{
    char *a = http_escape(c->http, name), *b = http_escape(c->http, subfolder), *t = http_escape(c->http, type);
    int fits = a && b && t && (size_t)snprintf(out, n, "/view?filename=%s&subfolder=%s&type=%s", a, b, t) < n;
    http_free(a);
    http_free(b);
    http_free(t);
    return fits;
}

/* Whether ComfyUI has the file in its input folder: 1 and its size (-1: not told), 0: no, negative: an error. */
static int32_t is_there(struct comfy *c, const struct file *f, int64_t *bytes, struct bp_err *err)
{
    char path[3 * FILE_NAME_MAX + 200], folder[FILE_NAME_MAX] = "";
    const char *slash = strrchr(f->name, '/');
    struct answer a;
    if (slash)
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - f->name), f->name);
    if (!view_path(c, slash ? slash + 1 : f->name, folder, "input", path, sizeof path))
        return bp_error(err, BP_NOMEM, "no memory to look for a file");
    int32_t rc = http_head(c->http, path, &a, err);
    if (rc < 0)
        return rc;
    *bytes = a.length;
    int there = a.status == 200;
    answer_free(&a);
    return there;
}

static int32_t uploaded(struct comfy *c, const struct file *f, const struct answer *a, struct bp_err *err)
{
    char line[100];
    const char *name = json_str(a->json, "name", ""), *folder = json_str(a->json, "subfolder", "");
    if (a->status == 413)
        return bp_error(err, BP_BADINPUT,
                        "the file %.60s (%lld bytes) is larger than ComfyUI takes; start it with a larger "
                        "--max-upload-size",
                        f->key, (long long)f->bytes);
    if (a->status != 200)
        return bp_error(err, BP_FAIL, "ComfyUI at %.80s answers %ld to the upload of %.50s: %s", c->set.url, a->status,
                        f->key, words_line(a->body ? a->body : "", line, sizeof line));
    if (strcmp(name, f->name) != 0 || *folder)
        return bp_error(err, BP_FAIL, "ComfyUI at %.80s took the file %.50s as \"%.60s\", not as %.60s", c->set.url,
                        f->key, name, f->name);
    return BP_OK;
}

static int32_t upload(struct comfy *c, const struct file *f, struct bp_err *err)
{
    struct answer a;
    int32_t rc = http_upload(c->http, f->path, f->name, &a, err);
    if (rc < 0)
        return rc;
    rc = uploaded(c, f, &a, err);
    answer_free(&a);
    return rc;
}

static int32_t place(struct comfy *c, const struct file *f, struct bp_err *err)
{
    int64_t bytes = -1;
    int32_t there = is_there(c, f, &bytes, err);
    if (there < 0)
        return there;
    if (f->path[0])
        return there && bytes == f->bytes ? BP_OK : upload(c, f, err);
    if (there)
        return BP_OK;
    return bp_error(err, BP_FAIL, "the file %.80s (%.50s) is not in the input folder of ComfyUI at %.80s", f->name,
                    f->key, c->set.url);
}

int32_t comfy_place_files(struct comfy *c, struct bp_err *err)
{
    for (uint32_t i = 0; i < c->bound->n_files; i++) {
        char words[120];
        snprintf(words, sizeof words, "file %u of %u to ComfyUI", i + 1, c->bound->n_files);
        int32_t rc = comfy_tell(c, 0.05 * i / c->bound->n_files, words, err);
        if (rc == BP_OK)
            rc = place(c, &c->bound->files[i], err);
        if (rc < 0)
            return rc;
    }
    return BP_OK;
}

/* ---- the output ---- */

static int32_t check_output(struct comfy *c, const struct output_file *o, const struct answer *a, struct bp_err *err)
{
    if (a->status != 200)
        return bp_error(err, a->status == 404 ? BP_NOTFOUND : BP_FAIL,
                        "ComfyUI at %.80s answers %ld to /view of %.80s, which node %.30s gave", c->set.url, a->status,
                        o->name, o->node);
    if (a->n == 0)
        return bp_error(err, BP_FAIL, "the file %.80s, which node %.30s gave, is empty", o->name, o->node);
    return BP_OK;
}

static int32_t download(struct comfy *c, const struct output_file *o, int fd, struct bp_err *err)
{
    char path[3 * (sizeof o->name + sizeof o->subfolder + sizeof o->type) + 60];
    struct answer a;
    if (!view_path(c, o->name, o->subfolder, o->type, path, sizeof path))
        return bp_error(err, BP_NOMEM, "no memory to fetch the output");
    int32_t rc = http_download(c->http, path, fd, c->set.output_bytes, &a, err);
    if (rc == BP_TOOLARGE)
        return bp_error(err, BP_INVALID, "the output has more than %lld bytes (settings.max_output_bytes)",
                        (long long)c->set.output_bytes);
    if (rc < 0)
        return rc;
    rc = check_output(c, o, &a, err);
    answer_free(&a);
    return rc;
}

int32_t comfy_fetch(struct comfy *c, struct json_object *entry, struct bp_err *err)
{
    struct output_file o;
    int32_t rc = history_output(entry, c->set.output_node, &o, err);
    if (rc < 0) {
        /* Old versions give no file of a node whose result they kept. Otherwise another attempt would give as little.
         */
        rc = err->rc = history_cached(entry) ? BP_NOTFOUND : BP_INVALID;
        return rc;
    }
    rc = comfy_tell(c, 0.96, "fetching the output", err);
    if (rc < 0)
        return rc;
    int fd = open(c->job->output_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return bp_error(err, BP_IO, "make the output file: %s", strerror(errno));
    rc = download(c, &o, fd, err);
    if (close(fd) < 0 && rc == BP_OK)
        rc = bp_error(err, BP_IO, "write the output file: %s", strerror(errno));
    if (rc < 0)
        unlink(c->job->output_path);
    return rc;
}
