/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_private.h"

#include "log/err.h"
#include "log/json.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads up to room bytes; -1 with errno. */
static ssize_t read_fully(int fd, char *to, size_t room)
{
    size_t n = 0;
    while (n < room) {
        ssize_t got = read(fd, to + n, room - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

static char *read_open(int fd, const char *path, size_t max, size_t *bytes, struct bp_err *err)
{
    char *text = malloc(max + 2);
    ssize_t n = text ? read_fully(fd, text, max + 1) : -1;
    if (!text)
        err_set(err, BP_NOMEM, "read %s: no memory", path);
    else if (n < 0)
        err_set(err, BP_IO, "read %s: %s", path, strerror(errno));
    else if ((size_t)n > max)
        err_set(err, BP_INVALID, "%s is larger than %zu bytes", path, max);
    else {
        text[n] = 0;
        *bytes = (size_t)n;
        return text;
    }
    free(text);
    return NULL;
}

char *file_read(const char *path, size_t max, size_t *bytes, struct bp_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a named pipe must not hold us up */
    struct stat st;
    if (fd < 0) {
        err_set(err, errno == ENOENT ? BP_NOTFOUND : BP_IO, "open %s: %s", path, strerror(errno));
        return NULL;
    }
    char *text = NULL;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        err_set(err, BP_INVALID, "%s is not a regular file", path);
    else
        text = read_open(fd, path, max, bytes, err);
    close(fd);
    return text;
}

/* Walks nested and dotted forms alike: {"http": {"listen": ...}} and {"http.listen": ...}. */
static int walk(struct config *c, struct json_object *obj, const char *prefix, const struct source *file,
                struct bp_err *err)
{
    char path[CONFIG_PATH_MAX];
    json_object_object_foreach(obj, key, v)
    {
        snprintf(path, sizeof path, "%s%s%s", prefix, prefix[0] ? "." : "", key);
        struct source src = {.label = file->label, .line = lines_of(file->lines, path)};
        int is_leaf = table_find(path) || table_find_map(path);
        if (!is_leaf && !table_is_section(path))
            return config_unknown(path, &src, err);
        if (!is_leaf && !json_object_is_type(v, json_type_object))
            return err_set(err, BP_INVALID, "%s:%u: %s is a section: its settings stand in an object", src.label,
                           src.line, path);
        int rc = is_leaf ? config_assign(c, path, v, &src, err) : walk(c, v, path, file, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int load_text(struct config *c, const char *path, const char *text, size_t bytes, struct bp_err *err)
{
    struct lines *lines = lines_find(text, bytes, err);
    struct json_object *obj = lines ? json_parse_config(text, bytes, err) : NULL;
    struct source src = {.label = path, .lines = lines};
    int rc;
    if (!obj)
        rc = err_prefix(err, "%s: ", path);
    else if (!json_object_is_type(obj, json_type_object))
        rc = err_set(err, BP_INVALID, "%s: must hold one object", path);
    else
        rc = walk(c, obj, "", &src, err);
    json_object_put(obj);
    lines_free(lines);
    return rc;
}

int file_load(struct config *c, const char *path, struct bp_err *err)
{
    size_t bytes = 0;
    char *text = file_read(path, CONFIG_FILE_BYTES_MAX, &bytes, err);
    if (!text)
        return err->rc;
    int rc = load_text(c, path, text, bytes, err);
    free(text);
    return rc;
}

static int is_json_name(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return d->d_name[0] != '.' && n > 5 && strcmp(d->d_name + n - 5, ".json") == 0;
}

int file_load_dir(struct config *c, const char *beside, struct bp_err *err)
{
    char dir[4096], path[4096 + 256];
    const char *slash = strrchr(beside, '/');
    snprintf(dir, sizeof dir, "%.*sconf.d", slash ? (int)(slash - beside) + 1 : 0, beside);
    struct dirent **found = NULL;
    int n = scandir(dir, &found, is_json_name, alphasort), rc = 0;
    if (n < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : err_set(err, BP_IO, "read %s: %s", dir, strerror(errno));
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, found[i]->d_name);
        if (rc == 0)
            rc = file_load(c, path, err);
        free(found[i]);
    }
    free(found);
    return rc;
}
