/* SPDX-License-Identifier: Apache-2.0 */
/* check_sample.c - inputs for a dry run: the files that were given, or a small one of a type the workflow accepts. */
#include "check.h"

#include "dispatch/mime.h"
#include "log/err.h"
#include "transfer.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BYTES(name) extern const char sample_##name[], sample_##name##_end[]
BYTES(png);
BYTES(jpg);
BYTES(webp);
BYTES(mp4);
BYTES(wav);
static const char sentence[] = "A lighthouse stands on a cliff above a quiet sea, and its lamp turns.\n";
static const char object[] = "{\"prompt\": \"a lighthouse above a quiet sea\"}\n";

/* In the order they are tried; samples.S holds the bytes. */
static const struct {
    const char *mime, *name, *at, *end;
} built_in[] = {
    {"image/png", "sample.png", sample_png, sample_png_end},
    {"image/jpeg", "sample.jpg", sample_jpg, sample_jpg_end},
    {"image/webp", "sample.webp", sample_webp, sample_webp_end},
    {"video/mp4", "sample.mp4", sample_mp4, sample_mp4_end},
    {"audio/wav", "sample.wav", sample_wav, sample_wav_end},
    {"audio/x-wav", "sample.wav", sample_wav, sample_wav_end},
    {"text/plain", "sample.txt", sentence, sentence + sizeof sentence - 1},
    {"application/json", "sample.json", object, object + sizeof object - 1},
};
#define BUILT_IN (sizeof built_in / sizeof built_in[0])

static int accepts(struct json_object *list, const char *mime)
{
    size_t n = list ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < n; i++)
        if (mime_matches(json_object_get_string(json_object_array_get_idx(list, i)), mime))
            return 1;
    return n == 0;
}

static int write_file(const char *path, const char *at, size_t n)
{
    FILE *f = fopen(path, "wbx");
    int ok = f && fwrite(at, 1, n, f) == n;
    if (f && fclose(f) != 0)
        ok = 0;
    return ok ? 0 : -1;
}

static int make(struct check *c, size_t which, struct sample *out)
{
    if (write_file(out->path, built_in[which].at, (size_t)(built_in[which].end - built_in[which].at)) < 0) {
        finding_add(&c->found, FINDING_ERROR, "run", "make room, or set TMPDIR", "cannot write the sample %s: %s",
                    out->path, strerror(errno));
        return -1;
    }
    out->mime = built_in[which].mime;
    out->name = built_in[which].name;
    return 1;
}

static int copy_file(const char *from, const char *to)
{
    char part[65536];
    ssize_t n = 0;
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    while (in >= 0 && out >= 0 && (n = read(in, part, sizeof part)) > 0)
        if (write(out, part, (size_t)n) != n) {
            n = -1;
            break;
        }
    int why = errno;
    if (in >= 0)
        close(in);
    if (out >= 0 && close(out) != 0)
        n = -1;
    errno = why;
    return in < 0 || out < 0 || n < 0 ? -1 : 0;
}

static int take(struct check *c, const char *from, struct sample *out)
{
    const char *slash = strrchr(from, '/');
    if (copy_file(from, out->path) < 0) {
        finding_add(&c->found, FINDING_ERROR, "run", "give a file that can be read with --sample",
                    "cannot copy the sample %s: %s", from, strerror(errno));
        return -1;
    }
    out->mime = transfer_mime(from);
    out->name = slash ? slash + 1 : from;
    if (!accepts(json_member(c->file.manifest->json, "accepts"), out->mime))
        finding_add(&c->found, FINDING_WARNING, "run", "give a file of a type in \"accepts\", or add its type there",
                    "the sample %s is %s, which the workflow does not accept: a submit with it would be refused", from,
                    out->mime);
    return 0;
}

int check_samples(struct check *c, const char *dir, struct sample *out)
{
    struct json_object *list = json_member(c->file.manifest->json, "accepts");
    for (uint32_t i = 0; i < CHECK_SAMPLES; i++)
        if (snprintf(out[i].path, sizeof out[i].path, "%s/input-%u", dir, i) >= (int)sizeof out[i].path)
            return -1;
    for (uint32_t i = 0; i < c->n_samples; i++)
        if (take(c, c->samples[i], &out[i]) < 0)
            return -1;
    if (c->n_samples)
        return (int)c->n_samples;
    for (size_t i = 0; i < BUILT_IN; i++)
        if (accepts(list, built_in[i].mime))
            return make(c, i, &out[0]);
    finding_add(&c->found, FINDING_WARNING, "run", "give one with --sample FILE",
                "no dry run: there is no built-in sample of a type it accepts (%s)", json_text(list));
    return -1;
}
