/* SPDX-License-Identifier: Apache-2.0 */
#include "transfer.h"

#include "log/err.h"
#include "log/json.h"
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* The beginning of what the server said to an upload. */
struct said {
    size_t n;
    char text[1024];
};

static size_t hear(char *data, size_t size, size_t n, void *arg)
{
    struct said *s = arg;
    size_t room = sizeof s->text - 1 - s->n, take = size * n < room ? size * n : room;
    memcpy(s->text + s->n, data, take);
    s->n += take;
    s->text[s->n] = '\0';
    return size * n;
}

/* Its words: those of bpd's envelope, or of S3's. */
static int refused(const char *what, long status, const struct said *s, struct bp_err *err)
{
    static const char tag[] = "<Message>";
    struct bp_err ignored;
    struct json_object *o = s ? json_parse(s->text, s->n, &ignored) : NULL;
    const char *words = json_str(o, "message", ""), *xml = s && !o ? strstr(s->text, tag) : NULL;
    size_t n = strlen(words);
    if (xml) {
        words = xml + sizeof tag - 1;
        n = strcspn(words, "<");
    }
    err_set(err, BP_IO, "cannot %s: the server answered %ld%s%.*s", what, status, n ? ": " : "", (int)n, words);
    json_object_put(o);
    return err->rc;
}

/* Runs a prepared transfer; its handle is freed. said: what the server says beside its status, or NULL. */
static int perform(CURL *h, const char *what, const struct said *said, struct bp_err *err)
{
    char detail[CURL_ERROR_SIZE] = "";
    long status = 0;
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, 10L);
    curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, 60L);
    CURLcode rc = curl_easy_perform(h);
    curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(h);
    if (rc != CURLE_OK)
        return err_set(err, BP_IO, "cannot %s: %s", what, detail[0] ? detail : curl_easy_strerror(rc));
    if (status < 200 || status > 299)
        return refused(what, status, said, err);
    return 0;
}

int transfer_put(const char *url, const char *path, const char *mime, struct bp_err *err)
{
    struct stat st;
    char header[256], what[300];
    struct said said = {0};
    FILE *f = fopen(path, "rb");
    if (!f || fstat(fileno(f), &st) < 0 || !S_ISREG(st.st_mode)) {
        int why = errno;
        if (f)
            fclose(f);
        return err_set(err, BP_IO, "cannot read %s: %s", path, f ? "not a regular file" : strerror(why));
    }
    CURL *h = curl_easy_init();
    struct curl_slist *headers = NULL;
    if (mime) {
        snprintf(header, sizeof header, "Content-Type: %s", mime);
        headers = curl_slist_append(headers, header);
    }
    headers = curl_slist_append(headers, "Expect:");
    curl_easy_setopt(h, CURLOPT_URL, url);
    curl_easy_setopt(h, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, hear);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, &said);
    curl_easy_setopt(h, CURLOPT_READDATA, f);
    curl_easy_setopt(h, CURLOPT_INFILESIZE_LARGE, (curl_off_t)st.st_size);
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
    snprintf(what, sizeof what, "upload %.200s", path);
    int rc = perform(h, what, &said, err);
    curl_slist_free_all(headers);
    fclose(f);
    return rc;
}

static int get_into(const char *url, FILE *f, const char *path, struct bp_err *err)
{
    char what[300];
    CURL *h = curl_easy_init();
    curl_easy_setopt(h, CURLOPT_URL, url);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, f);
    curl_easy_setopt(h, CURLOPT_FAILONERROR, 1L);
    snprintf(what, sizeof what, "download to %.200s", path);
    return perform(h, what, NULL, err);
}

int transfer_get(const char *url, const char *path, struct bp_err *err)
{
    char temp[4200];
    if (strcmp(path, "-") == 0)
        return get_into(url, stdout, path, err);
    snprintf(temp, sizeof temp, "%s.part", path);
    FILE *f = fopen(temp, "wb");
    if (!f)
        return err_set(err, BP_IO, "cannot write %s: %s", temp, strerror(errno));
    int rc = get_into(url, f, path, err);
    if (fclose(f) != 0 && rc == 0)
        rc = err_set(err, BP_IO, "cannot write %s: %s", temp, strerror(errno));
    if (rc == 0 && rename(temp, path) < 0)
        rc = err_set(err, BP_IO, "cannot write %s: %s", path, strerror(errno));
    if (rc < 0)
        unlink(temp);
    return rc;
}

static const char *mime_by_ending(const char *path)
{
    static const char *const table[][2] = {
        {".jpg", "image/jpeg"},  {".jpeg", "image/jpeg"},       {".png", "image/png"},
        {".webp", "image/webp"}, {".mp4", "video/mp4"},         {".mov", "video/quicktime"},
        {".webm", "video/webm"}, {".json", "application/json"}, {".txt", "text/plain"}};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof table / sizeof table[0]; i++)
        if (strcasecmp(dot, table[i][0]) == 0)
            return table[i][1];
    return "application/octet-stream";
}

const char *transfer_mime(const char *path)
{
    unsigned char b[12] = {0};
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(b, 1, sizeof b, f) : 0;
    if (f)
        fclose(f);
    if (n >= 3 && memcmp(b, "\xff\xd8\xff", 3) == 0)
        return "image/jpeg";
    if (n >= 8 && memcmp(b, "\x89PNG\r\n\x1a\n", 8) == 0)
        return "image/png";
    if (n >= 12 && memcmp(b, "RIFF", 4) == 0 && memcmp(b + 8, "WEBP", 4) == 0)
        return "image/webp";
    if (n >= 12 && memcmp(b + 4, "ftyp", 4) == 0)
        return "video/mp4";
    return mime_by_ending(path);
}
