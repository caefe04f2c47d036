/* SPDX-License-Identifier: Apache-2.0 */
#include "ini.h"

#include "err.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* One section's beginning (name NULL), or one setting of the section before it. Text is inside the ini's. */
struct entry {
    const char *kind, *section; /* "" and the name, for [name] */
    const char *parent;         /* setting that it is inside of, or NULL */
    const char *name;
    char *value;
};

struct ini {
    char *text;
    size_t room; /* whole pages, in no core dump */
    struct entry *entries;
    size_t n, n_room;
};

/* What the lines before say about the next one. */
struct place {
    const char *kind, *section; /* NULL: in no section */
    const char *parent;
    struct entry *last; /* setting that an indented line goes on with, or NULL; moves with the list */
};

static char *trim(char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    size_t n = strlen(s);
    while (n && isspace((unsigned char)s[n - 1]))
        s[--n] = '\0';
    return s;
}

/* Ends the line where a comment begins behind a blank. */
static void cut_comment(char *s)
{
    for (char *c = s; *c; c++)
        if ((*c == '#' || *c == ';') && (c == s || isspace((unsigned char)c[-1]))) {
            *c = '\0';
            return;
        }
}

static struct entry *add(struct ini *i, const struct place *p, const char *name, char *value)
{
    if (i->n == i->n_room) {
        size_t room = i->n_room ? i->n_room * 2 : 64;
        struct entry *grown = realloc(i->entries, room * sizeof *grown);
        if (!grown)
            return NULL;
        i->entries = grown;
        i->n_room = room;
    }
    i->entries[i->n] = (struct entry){p->kind, p->section, p->parent, name, value};
    return &i->entries[i->n++];
}

/* "[profile x]", "[profile "x"]" or "[x]". 0 without memory. */
static int take_section(struct ini *i, struct place *p, char *line)
{
    char *end = strchr(line, ']');
    *p = (struct place){0};
    if (!end)
        return 1;
    *end = '\0';
    char *name = trim(line + 1), *blank = name;
    while (*blank && !isspace((unsigned char)*blank))
        blank++;
    p->kind = "";
    p->section = name;
    if (*blank) {
        *blank = '\0';
        p->kind = name;
        p->section = name = trim(blank + 1);
    }
    size_t n = strlen(name);
    if (n >= 2 && (name[0] == '"' || name[0] == '\'') && name[n - 1] == name[0]) {
        name[n - 1] = '\0';
        p->section = name + 1;
    }
    return add(i, p, NULL, NULL) != NULL;
}

/* Splits "name = value". NULL when it is no such line. */
static char *split(char *line, char **name)
{
    char *equals = strchr(line, '=');
    if (!equals || equals == line)
        return NULL;
    *equals = '\0';
    *name = trim(line);
    return **name ? trim(equals + 1) : NULL;
}

/* More of the value before: it moves down to it, behind a newline. */
static void append(char *value, char *more)
{
    size_t n = strlen(value), k = strlen(more);
    value[n] = '\n';
    memmove(value + n + 1, more, k + 1);
}

static int take_indented(struct ini *i, struct place *p, char *text)
{
    char *name = NULL;
    if (!p->last)
        return 1;
    if (p->last->value[0]) {
        append(p->last->value, text);
        return 1;
    }
    size_t at = (size_t)(p->last - i->entries);
    char *value = split(text, &name);
    if (!value)
        return 1;
    p->parent = p->last->name;
    int ok = add(i, p, name, value) != NULL;
    p->parent = NULL;
    p->last = &i->entries[at];
    return ok;
}

static int take_line(struct ini *i, struct place *p, char *line)
{
    int indented = isspace((unsigned char)line[0]);
    char *name = NULL;
    cut_comment(line);
    char *text = trim(line);
    if (!*text)
        return 1;
    if (*text == '[' && !indented)
        return take_section(i, p, text);
    if (!p->section)
        return 1;
    if (indented)
        return take_indented(i, p, text);
    char *value = split(text, &name);
    p->last = value ? add(i, p, name, value) : NULL;
    return !value || p->last;
}

static int take_all(struct ini *i)
{
    struct place p = {0};
    char *line = i->text;
    int ok = 1;
    if (strncmp(line, "\xef\xbb\xbf", 3) == 0)
        line += 3;
    while (ok && line) {
        char *end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        ok = take_line(i, &p, line);
        line = end;
    }
    return ok;
}

struct ini *ini_parse(const char *text, size_t n, struct bp_err *err)
{
    if (n > INI_BYTES_MAX || memchr(text, '\0', n)) {
        err_set(err, n > INI_BYTES_MAX ? BP_TOOLARGE : BP_INVALID,
                n > INI_BYTES_MAX ? "it has more than %d bytes" : "it is no text", INI_BYTES_MAX);
        return NULL;
    }
    struct ini *i = calloc(1, sizeof *i);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (i) {
        i->room = (n + page) / page * page;
        i->text = mmap(NULL, i->room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    if (!i || i->text == MAP_FAILED) {
        free(i);
        err_set(err, BP_NOMEM, "no memory to read it");
        return NULL;
    }
    madvise(i->text, i->room, MADV_DONTDUMP);
    memcpy(i->text, text, n);
    if (take_all(i))
        return i;
    ini_free(i);
    err_set(err, BP_NOMEM, "no memory to read it");
    return NULL;
}

static struct ini *read_open(int fd, const char *path, struct bp_err *err)
{
    struct stat st;
    struct bp_err why = {0};
    struct ini *i = NULL;
    if (fstat(fd, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode)) || st.st_size > INI_BYTES_MAX) {
        err_set(err, BP_INVALID, "%.150s is no file of at most %d bytes", path, INI_BYTES_MAX);
        return NULL;
    }
    size_t n = S_ISREG(st.st_mode) ? (size_t)st.st_size : 0; /* /dev/null */
    char *text = malloc(n + 1);
    ssize_t got = text ? pread(fd, text, n, 0) : -1;
    if (got < 0)
        err_set(err, text ? BP_IO : BP_NOMEM, "%.150s cannot be read: %s", path, strerror(text ? errno : ENOMEM));
    else if (!(i = ini_parse(text, (size_t)got, &why)))
        err_set(err, why.rc, "%.150s: %.80s", path, why.text);
    if (text)
        explicit_bzero(text, n + 1);
    free(text);
    return i;
}

struct ini *ini_read(const char *path, struct bp_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        err_set(err, errno == ENOENT || errno == ENOTDIR ? BP_NOTFOUND : BP_DENIED, "%.150s cannot be opened: %s", path,
                strerror(errno));
        return NULL;
    }
    struct ini *i = read_open(fd, path, err);
    close(fd);
    return i;
}

void ini_free(struct ini *i)
{
    if (!i)
        return;
    explicit_bzero(i->text, i->room);
    munmap(i->text, i->room);
    free(i->entries);
    free(i);
}

static int is_in(const struct entry *e, const char *kind, const char *section)
{
    return strcmp(e->kind, kind) == 0 && strcmp(e->section, section) == 0;
}

int ini_has(const struct ini *i, const char *kind, const char *section)
{
    for (size_t k = 0; i && k < i->n; k++)
        if (is_in(&i->entries[k], kind, section))
            return 1;
    return 0;
}

const char *ini_get(const struct ini *i, const char *kind, const char *section, const char *parent, const char *name)
{
    for (size_t k = i ? i->n : 0; k-- > 0;) {
        const struct entry *e = &i->entries[k];
        int same_parent = parent ? e->parent && strcasecmp(e->parent, parent) == 0 : !e->parent;
        if (e->name && same_parent && strcasecmp(e->name, name) == 0 && is_in(e, kind, section))
            return e->value;
    }
    return NULL;
}
