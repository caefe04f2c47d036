/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target where there is no libFuzzer: over files, or all files of directories (the corpus is a regression
 * test), and then, for a short while, over inputs made from them by small changes. The changes come from a fixed seed,
 * so that a failure comes again; `make fuzz` searches for longer, and with coverage.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifndef MUTATIONS       /* fewer where an input takes long */
#define MUTATIONS 20000 /* of all inputs together: a second or so under a sanitizer */
#endif
#define INPUT_MAX 65536

struct input {
    uint8_t *data;
    size_t n;
};

static struct input *inputs;
static unsigned files;

static void run_bytes(const uint8_t *data, size_t n)
{
    uint8_t *exact = malloc(n ? n : 1); /* so that a sanitizer sees the first byte read too much */
    if (!exact)
        exit(1);
    memcpy(exact, data, n);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}

/* xorshift64*: the same numbers everywhere. */
static uint64_t next_random(void)
{
    static uint64_t x = 88172645463325252ULL;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    return x * 2685821657736338717ULL;
}

static size_t below(size_t n)
{
    return n ? (size_t)(next_random() % n) : 0;
}

/* One small change in place; data has room for INPUT_MAX bytes. Returns the new length. */
static size_t change(uint8_t *data, size_t n)
{
    const struct input *other = &inputs[below(files)];
    size_t at = below(n), len = 1 + below(8);
    switch (below(6)) {
    case 0:
        if (n)
            data[at] ^= (uint8_t)(1U << below(8));
        return n;
    case 1:
        if (n)
            data[at] = (uint8_t)next_random();
        return n;
    case 2: /* cut the end */
        return at;
    case 3: /* take some out */
        len = len < n - at ? len : n - at;
        memmove(data + at, data + at + len, n - at - len);
        return n - len;
    case 4: /* say some twice */
        if (n == 0 || n + len > INPUT_MAX)
            return n;
        len = len < n - at ? len : n - at;
        memmove(data + at + len, data + at, n - at);
        return n + len;
    default: /* go on as another one does */
        len = below(other->n);
        len = other->n - len < INPUT_MAX - at ? other->n - len : INPUT_MAX - at;
        memcpy(data + at, other->data + (other->n - len), len);
        return at + len;
    }
}

static void run_mutations(void)
{
    static uint8_t data[INPUT_MAX];
    for (unsigned i = 0; i < MUTATIONS; i++) {
        const struct input *in = &inputs[below(files)];
        size_t n = in->n < INPUT_MAX ? in->n : INPUT_MAX;
        memcpy(data, in->data, n);
        for (size_t k = 1 + below(4); k > 0; k--)
            n = change(data, n);
        run_bytes(data, n);
    }
}

static void run_file(const char *path, off_t bytes)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc((size_t)bytes + 1);
    if (!f || !data) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    size_t n = fread(data, 1, (size_t)bytes, f);
    run_bytes(data, n);
    inputs = realloc(inputs, (files + 1) * sizeof *inputs);
    if (!inputs)
        exit(1);
    inputs[files] = (struct input){data, n};
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
    run_mutations();
    printf("%u inputs, and %d made from them\n", files, MUTATIONS);
    for (unsigned i = 0; i < files; i++)
        free(inputs[i].data);
    free(inputs);
    return 0;
}
