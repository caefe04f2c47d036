/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin_file.h"

#include "log/err.h"
#include "pluginfile/elf.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void digest(struct plugin_file *f)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_Digest(f->image, (size_t)f->st.st_size, sum, &n, EVP_sha256(), NULL);
    for (unsigned i = 0; i < 32; i++)
        snprintf(f->sha + 2 * (size_t)i, 3, "%02x", i < n ? sum[i] : 0);
}

static int map(struct plugin_file *f, const char *path, struct bp_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &f->st) < 0) {
        int why = errno;
        if (fd >= 0)
            close(fd);
        return err_set(err, why == ENOENT ? BP_NOTFOUND : BP_IO, "cannot read %s: %s", path, strerror(why));
    }
    int rc = BP_OK;
    if (!S_ISREG(f->st.st_mode) || f->st.st_size == 0)
        rc = err_set(err, BP_INVALID, "%s is %s", path, f->st.st_size ? "no regular file" : "empty");
    void *at = rc ? NULL : mmap(NULL, (size_t)f->st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED)
        rc = err_set(err, BP_IO, "cannot read %s: %s", path, strerror(errno));
    else
        f->image = at;
    close(fd);
    return rc;
}

int plugin_file_open(struct plugin_file *f, const char *path, struct bp_err *err)
{
    memset(f, 0, sizeof *f);
    int rc = map(f, path, err);
    if (rc < 0)
        return rc;
    if (!realpath(path, f->path))
        return err_set(err, BP_IO, "cannot resolve %s: %s", path, strerror(errno));
    digest(f);
    f->manifest = manifest_read(f->image, (size_t)f->st.st_size, &f->wrong);
    return BP_OK;
}

void plugin_file_close(struct plugin_file *f)
{
    if (f->image)
        munmap((void *)(uintptr_t)f->image, (size_t)f->st.st_size);
    manifest_free(f->manifest);
    f->image = NULL;
    f->manifest = NULL;
}

int plugin_file_text(const struct plugin_file *f, const char **text, size_t *bytes, struct bp_err *err)
{
    int rc = elf_section(f->image, (size_t)f->st.st_size, BP_MANIFEST_SECTION, text, bytes, err);
    while (rc == BP_OK && *bytes > 0 && (*text)[*bytes - 1] == '\0')
        --*bytes;
    return rc;
}

const char *plugin_tool(const char *name, char *out, size_t n)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len < 0 ? 0 : len] = '\0';
    char *slash = strrchr(self, '/');
    if (slash) {
        *slash = '\0';
        snprintf(out, n, "%s/%s", self, name);
        if (access(out, R_OK) == 0)
            return out;
        snprintf(out, n, "%s/../libexec/bpd/%s", self, name);
        if (access(out, R_OK) == 0)
            return out;
    }
    snprintf(out, n, "%s", name);
    return out;
}
