/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over files, or all files of directories, where there is no libFuzzer: the corpus is a regression
 * test. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned files;

static void run_file(const char *path, off_t bytes)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc((size_t)bytes + 1);
    if (!f || !data) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    size_t n = fread(data, 1, (size_t)bytes, f);
    uint8_t *exact = malloc(n ? n : 1); /* so that a sanitizer sees the first byte read too much */
    if (!exact)
        exit(1);
    memcpy(exact, data, n);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    free(data);
    fclose(f);
    files++;
}

static void run_path(const char *path);

static void run_dir(const char *path)
{
    char name[4096];
    DIR *d = opendir(path);
    if (!d) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        run_path(name);
    }
    closedir(d);
}

static void run_path(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    if (S_ISDIR(st.st_mode))
        run_dir(path);
    else
        run_file(path, st.st_size);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        run_path(argv[i]);
    if (files == 0) {
        fprintf(stderr, "%s: no input was run; give files or directories of a corpus\n", argv[0]);
        return 1;
    }
    printf("%u inputs\n", files);
    return 0;
}
