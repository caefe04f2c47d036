/* SPDX-License-Identifier: Apache-2.0 */
#include "state_dir.h"

#include "log/err.h"
#include "log/log.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_dirs(char *path, struct bp_err *err)
{
    for (char *p = path + 1;; p++) {
        if (*p && *p != '/')
            continue;
        char was = *p;
        *p = 0;
        int failed = mkdir(path, 0700) < 0 && errno != EEXIST;
        *p = was;
        if (failed)
            return err_set(err, BP_IO, "cannot make the state directory %s: %s; set state.dir to one you may write",
                           path, strerror(errno));
        if (!was)
            return 0;
    }
}

int state_dir_path(const struct config *c, char *out, size_t n, struct bp_err *err)
{
    const char *set = config_str(c, CONFIG_STATE_DIR);
    const char *home = getenv("HOME");
    char cwd[4096] = "";
    int len = 0;
    if (set[0] && set[0] != '/' && !getcwd(cwd, sizeof cwd))
        return err_set(err, BP_IO, "state.dir is relative, but the current directory cannot be read: %s",
                       strerror(errno));
    if (set[0])
        len = snprintf(out, n, "%s%s%s", cwd, cwd[0] ? "/" : "", set);
    else if (geteuid() == 0)
        len = snprintf(out, n, "/var/lib/bpd");
    else if (home && home[0] == '/')
        len = snprintf(out, n, "%s/.local/state/bpd", home);
    else
        return err_set(err, BP_INVALID, "no state directory: HOME is not set; set state.dir");
    if (len < 0 || (size_t)len >= n)
        return err_set(err, BP_INVALID, "state.dir is too long");
    return 0;
}

int state_dir_open(const struct config *c, char *out, size_t n, struct bp_err *err)
{
    int rc = state_dir_path(c, out, n, err);
    if (rc < 0 || (rc = make_dirs(out, err)) < 0)
        return rc;
    if (access(out, W_OK | X_OK) < 0)
        return err_set(err, BP_IO, "cannot write the state directory %s: %s", out, strerror(errno));
    return 0;
}

int state_dir_lock(const char *dir, struct bp_err *err)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/bpd.lock", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(err, BP_IO, "cannot open %s: %s", path, strerror(errno));
    /* Not flock(): a child between fork and exec has that one too, and outlives a bpd that was killed just then. */
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_SETLK, &lock) < 0) {
        close(fd);
        return err_set(err, BP_CONFLICT, "another bpd runs with the state directory %s; stop it or set state.dir", dir);
    }
    return 0; /* the descriptor stays open, and with it the lock, until the process ends */
}

int state_dir_write(const char *dir, const char *name, const char *text, struct bp_err *err)
{
    char path[4200], temp[4216];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(temp, sizeof temp, "%s.new", path);
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(err, BP_IO, "cannot write %s: %s", temp, strerror(errno));
    size_t len = strlen(text);
    int bad = write(fd, text, len) != (ssize_t)len || fsync(fd) < 0;
    int why = errno;
    close(fd);
    if (bad || rename(temp, path) < 0)
        return err_set(err, BP_IO, "cannot write %s: %s", path, strerror(bad ? why : errno));
    return 0;
}

/* The first line of dir/name: 1, or 0 when there is none. */
static int state_dir_read(const char *dir, const char *name, char *out, size_t n)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    out[0] = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, out, n - 1);
    close(fd);
    out[got > 0 ? got : 0] = 0;
    out[strcspn(out, "\r\n")] = 0;
    return out[0] != 0;
}

void state_dir_name_run(const char *dir, const char *name, char *former, size_t n)
{
    char text[256], line[256];
    struct stat st = {0};
    struct bp_err err = {0};
    (void)stat(dir, &st);
    char *place = state_dir_read(dir, "controller.id", text, sizeof text) ? strchr(text, ' ') : NULL;
    snprintf(line, sizeof line, "%.100s %llu", name, (unsigned long long)st.st_ino);
    former[0] = 0;
    if (place && strcmp(place, strchr(line, ' ')) == 0) {
        *place = 0;
        snprintf(former, n, "%s", text);
    }
    if (state_dir_write(dir, "controller.id", line, &err) < 0)
        log_warn(LOG_CORE, "%s; after a kill, the next start waits until this run's lead has run out", err.text);
}

/* `letters` characters of [A-Za-z0-9], each equally likely. */
static int random_letters(char *out, size_t letters, struct bp_err *err)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    for (size_t i = 0; i < letters;) {
        unsigned char b;
        if (RAND_bytes(&b, 1) != 1)
            return err_set(err, BP_FAIL, "the system gives no random bytes");
        if (b < 248) /* 4 * 62: no letter is favoured */
            out[i++] = alphabet[b % 62];
    }
    out[letters] = 0;
    return 0;
}

int state_dir_secret(const char *dir, const char *name, size_t letters, char *out, size_t n, struct bp_err *err)
{
    if (state_dir_read(dir, name, out, n))
        return 0;
    if (letters >= n)
        return err_set(err, BP_INVALID, "no room for a secret of %zu letters", letters);
    int rc = random_letters(out, letters, err);
    return rc < 0 ? rc : state_dir_write(dir, name, out, err);
}
