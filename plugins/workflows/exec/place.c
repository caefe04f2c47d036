/* SPDX-License-Identifier: Apache-2.0 */
#include "place.h"

#include <bp/workflow.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECKPOINT_MAX (64 * 1024 * 1024)

/* Programs tell a file's kind by its ending; a tenant's own file name is no name for a file here. */
static const char *ending_of(const char *mime)
{
    static const char *const rows[][2] = {
        {"image/png", ".png"},         {"image/jpeg", ".jpg"},       {"image/gif", ".gif"},
        {"image/webp", ".webp"},       {"image/tiff", ".tif"},       {"image/bmp", ".bmp"},
        {"image/avif", ".avif"},       {"video/mp4", ".mp4"},        {"video/webm", ".webm"},
        {"video/quicktime", ".mov"},   {"video/x-matroska", ".mkv"}, {"audio/wav", ".wav"},
        {"audio/x-wav", ".wav"},       {"audio/mpeg", ".mp3"},       {"audio/flac", ".flac"},
        {"audio/ogg", ".ogg"},         {"text/plain", ".txt"},       {"text/csv", ".csv"},
        {"application/json", ".json"}, {"application/pdf", ".pdf"},  {"application/zip", ".zip"}};
    size_t n = strcspn(mime, "; ");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strlen(rows[i][0]) == n && strncasecmp(mime, rows[i][0], n) == 0)
            return rows[i][1];
    }
    return "";
}

static int32_t failed(const char *what, const char *path, struct bp_err *err)
{
    int32_t rc = errno == ENOSPC || errno == EDQUOT ? BP_NOSPACE : BP_IO;
    return bp_error(err, rc, "%s %.120s: %s", what, path, strerror(errno));
}

static int32_t write_file(const char *path, const void *bytes, size_t n, struct bp_err *err)
{
    FILE *f = fopen(path, "we");
    int bad = !f || fwrite(bytes, 1, n, f) != n;
    if (f && fclose(f) != 0)
        bad = 1;
    return bad ? failed("write", path, err) : BP_OK;
}

static int32_t place_inputs(struct place *p, const struct bp_job *job, struct bp_err *err)
{
    if (job->n_inputs > INPUTS_MAX)
        return bp_error(err, BP_BADINPUT, "the job has %u inputs, at most %d are taken", job->n_inputs, INPUTS_MAX);
    for (uint32_t i = 0; i < job->n_inputs; i++) {
        snprintf(p->input[i], sizeof p->input[i], "%s/work/input-%u%s", job->temp_dir, i + 1,
                 ending_of(job->inputs[i].mime));
        p->inputs[i] = p->input[i];
        if (symlink(job->inputs[i].path, p->input[i]) < 0)
            return failed("link", p->input[i], err);
    }
    return BP_OK;
}

int32_t place_make(struct place *p, const struct settings *s, const struct bp_job *job, struct bp_err *err)
{
    const void *saved = NULL;
    uint64_t n = 0;
    memset(p, 0, sizeof *p);
    if (snprintf(p->dir, sizeof p->dir, "%s/work", job->temp_dir) >= (int)sizeof p->dir - 1)
        return bp_error(err, BP_IO, "the job's directory has too long a name");
    snprintf(p->output, sizeof p->output, "%s/%s", p->dir, s->output ? s->output : "output");
    snprintf(p->params_file, sizeof p->params_file, "%s/params.json", p->dir);
    snprintf(p->checkpoint, sizeof p->checkpoint, "%s/checkpoint", p->dir);
    if (mkdir(p->dir, 0700) < 0)
        return failed("make the directory", p->dir, err);
    if (write_file(p->params_file, job->params, strlen(job->params), err) < 0)
        return err->rc;
    if (job->checkpoint_load(job->ctx, &saved, &n) == BP_OK && write_file(p->checkpoint, saved, n, err) < 0)
        return err->rc;
    return place_inputs(p, job, err);
}

int32_t place_hand_over(const struct place *p, const struct bp_job *job, struct bp_err *err)
{
    struct stat st;
    if (lstat(p->output, &st) < 0 || st.st_size == 0)
        return bp_error(err, BP_NOTFOUND, "it ended well, but left no file %.80s", strrchr(p->output, '/') + 1);
    if (!S_ISREG(st.st_mode)) /* a link could lead to any file */
        return bp_error(err, BP_NOTFOUND, "it ended well, but %.80s is no regular file", strrchr(p->output, '/') + 1);
    if (rename(p->output, job->output_path) < 0)
        return failed("hand over", p->output, err);
    return BP_OK;
}

int32_t place_save(const struct place *p, const struct bp_job *job, struct bp_err *err)
{
    struct stat st;
    int fd = open(p->checkpoint, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return BP_OK;
    int32_t rc = BP_OK;
    char *bytes = NULL;
    size_t n = 0;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= CHECKPOINT_MAX)
        bytes = malloc((size_t)st.st_size + 1);
    for (ssize_t got = 1; bytes && got > 0 && n < (size_t)st.st_size; n += (size_t)(got > 0 ? got : 0))
        got = read(fd, bytes + n, (size_t)st.st_size - n);
    if (bytes)
        rc = job->checkpoint_save(job->ctx, bytes, n, err);
    else
        rc = bp_error(err, BP_INVALID, "the checkpoint is no file of at most %d bytes", CHECKPOINT_MAX);
    free(bytes);
    close(fd);
    return rc;
}
