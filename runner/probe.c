/* SPDX-License-Identifier: Apache-2.0 */
#include "runner/probe.h"

#include "host/manifest.h"
#include "log/err.h"
#include "runner/plugin.h"
#include "runner/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void log_line(int32_t level, const char *text)
{
    if (level <= BP_LOG_WARN)
        fprintf(stderr, "%s\n", text);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

/* Only a workflow is started: another plugin's start may have effects, and the daemon starts it itself. */
static int try_workflow(struct plugin *p, struct bp_err *err)
{
    char dir[] = "/tmp/bp-probe.XXXXXX";
    if (!mkdtemp(dir))
        return err_set(err, BP_IO, "make a directory %s: %s", dir, strerror(errno));
    snprintf(p->self.state_dir, sizeof(p->self.state_dir), "%s", dir);
    p->self.log = log_line;
    int rc = plugin_start(p, err);
    plugin_stop(p);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return rc;
}

static int check(const char *file, const struct manifest *m, struct bp_err *err)
{
    static struct plugin p;
    int rc = sandbox_network(0, err);
    if (rc < 0 && rc != BP_UNSUPPORTED)
        return rc;
    memset(err, 0, sizeof(*err));
    rc = plugin_load(&p, file, m->name, err);
    if (rc == BP_OK && m->kind == KIND_WORKFLOW)
        rc = try_workflow(&p, err);
    return rc;
}

/* The manifest in the file, read without running any of its code; NULL with err. manifest_free() it. */
static struct manifest *read_manifest(const char *file, struct bp_err *err)
{
    struct manifest *m = NULL;
    struct stat st = {0};
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        err_set(err, BP_IO, "read %s: %s", file, strerror(errno));
    } else if (!S_ISREG(st.st_mode) || st.st_size == 0) {
        err_set(err, BP_INVALID, "%s is empty or no file", file);
    } else {
        void *image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (image == MAP_FAILED)
            err_set(err, BP_IO, "map %s: %s", file, strerror(errno));
        else
            m = manifest_read(image, (size_t)st.st_size, err);
        if (image != MAP_FAILED)
            munmap(image, (size_t)st.st_size);
    }
    if (fd >= 0)
        close(fd);
    return m;
}

int probe(const char *file)
{
    struct bp_err err = {0};
    struct manifest *m = read_manifest(file, &err);
    int rc = m ? check(file, m, &err) : BP_INVALID;
    manifest_free(m);
    if (rc < 0)
        fprintf(stderr, "%s\n", err.text);
    return rc < 0;
}
