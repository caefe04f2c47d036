/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_private.h"

#include "log/err.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SECRET_BYTES_MAX 4096

static int starts(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

static const char *find_env(char *const *environ_, const char *name)
{
    size_t n = strlen(name);
    for (; environ_ && *environ_; environ_++) {
        if (strncmp(*environ_, name, n) == 0 && (*environ_)[n] == '=')
            return *environ_ + n + 1;
    }
    return NULL;
}

static char *from_env(const char *name, char *const *environ_, struct bp_err *err)
{
    const char *value = find_env(environ_, name);
    if (!value) {
        err_set(err, BP_INVALID, "refers to environment variable %s, which is not set", name);
        return NULL;
    }
    char *copy = strdup(value);
    if (!copy)
        err_set(err, BP_NOMEM, "no memory");
    return copy;
}

static char *from_file(const char *path, struct bp_err *err)
{
    struct stat st;
    size_t n = 0;
    if (stat(path, &st) == 0 && (st.st_mode & (S_IRWXO | S_IWGRP))) {
        err_set(err, BP_DENIED, "refers to %s, which others can read or change; run: chmod 600 %s", path, path);
        return NULL;
    }
    char *text = file_read(path, SECRET_BYTES_MAX, &n, err);
    if (!text) {
        err_prefix(err, "refers to a file: ");
        return NULL;
    }
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        text[--n] = 0;
    if (strlen(text) != n || n == 0) {
        err_set(err, BP_INVALID, "refers to %s, which holds %s", path, n ? "a NUL character" : "nothing");
        memset(text, 0, n);
        free(text);
        return NULL;
    }
    return text;
}

int secret_resolve(char **value, char *const *environ_, struct bp_err *err)
{
    char *found;
    if (starts(*value, "env:"))
        found = from_env(*value + 4, environ_, err);
    else if (starts(*value, "file:"))
        found = from_file(*value + 5, err);
    else
        return 0;
    if (!found)
        return BP_INVALID;
    free(*value);
    *value = found;
    return 0;
}

char *config_secret_resolve(const char *reference, char *const *environ_, struct bp_err *err)
{
    char *value = strdup(reference);
    if (!value) {
        err_set(err, BP_NOMEM, "no memory");
        return NULL;
    }
    if (secret_resolve(&value, environ_, err) < 0) {
        free(value);
        return NULL;
    }
    return value;
}

const char *config_secret_param(const struct config *c, enum config_key key)
{
    const char *value = config_str(c, key);
    return starts(value, "param:") ? value + 6 : NULL;
}
