/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_new.c - `bpctl plugin new`: a working plugin of a name, from a template that is installed beside bpctl. */
#include "plugin_new.h"

#include "log/err.h"
#include "log/json.h"
#include "plugin.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES 1048576 /* no template has a larger file */

struct scaffold {
    char from[PATH_MAX]; /* the template's folder */
    char to[PATH_MAX];   /* the new one */
    struct plugin_name old, new;
    struct json_object *files; /* names of what was written */
};

/* Where the templates are, seen from bpctl's own file: in an installation as in a build tree. BPD_TEMPLATES names
 * another place. */
static void templates_dir(char out[PATH_MAX])
{
    const char *named = getenv("BPD_TEMPLATES");
    char self[PATH_MAX / 2];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n < 0 ? 0 : n] = 0;
    char *slash = strrchr(self, '/');
    if (slash)
        *slash = 0;
    if (named && *named)
        snprintf(out, PATH_MAX, "%s", named);
    else
        snprintf(out, PATH_MAX, "%s/%s", self, BPD_TEMPLATES_FROM_BIN);
}

static int is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int32_t read_text(const char *path, char **out, struct bp_err *err)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return err_set(err, BP_IO, "cannot read the template %s: %s", path, strerror(errno));
    char *text = calloc(1, FILE_BYTES);
    size_t n = text ? fread(text, 1, FILE_BYTES - 1, f) : 0;
    int bad = !text || ferror(f) || n == FILE_BYTES - 1 || memchr(text, 0, n);
    fclose(f);
    if (bad) {
        free(text);
        return err_set(err, BP_IO, "cannot read the template %s: it is no text of less than 1 MiB", path);
    }
    *out = text;
    return BP_OK;
}

static int32_t write_text(const char *path, const char *text, struct bp_err *err)
{
    FILE *f = fopen(path, "wxe");
    int bad = !f || fputs(text, f) < 0, why = errno;
    if (f && fclose(f) != 0 && !bad) {
        bad = 1;
        why = errno;
    }
    if (f && bad)
        unlink(path);
    return bad ? err_set(err, BP_IO, "cannot write %s: %s", path, strerror(why)) : BP_OK;
}

static int32_t copy_file(struct scaffold *s, const char *file, struct bp_err *err)
{
    char from[2 * PATH_MAX], to[2 * PATH_MAX];
    char *name = plugin_name_replace(file, &s->old, &s->new), *text = NULL, *made = NULL;
    snprintf(from, sizeof from, "%s/%s", s->from, file);
    snprintf(to, sizeof to, "%s/%s", s->to, name ? name : "");
    int32_t rc = read_text(from, &text, err);
    if (rc == BP_OK)
        made = plugin_name_replace(text, &s->old, &s->new);
    if (rc == BP_OK && (!name || !made))
        rc = err_set(err, BP_NOMEM, "no memory to write %s", file);
    if (rc == BP_OK)
        rc = write_text(to, made, err);
    if (rc == BP_OK)
        json_object_array_add(s->files, json_object_new_string(name));
    free(text);
    free(made);
    free(name);
    return rc;
}

/* Takes away what was written: a plugin is made whole or not at all. */
static void undo(const struct scaffold *s)
{
    char path[2 * PATH_MAX];
    for (size_t i = 0; i < json_object_array_length(s->files); i++) {
        snprintf(path, sizeof path, "%s/%s", s->to, json_object_get_string(json_object_array_get_idx(s->files, i)));
        unlink(path);
    }
    rmdir(s->to);
}

static int visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static int32_t copy_all(struct scaffold *s, struct bp_err *err)
{
    struct dirent **entries = NULL;
    int n = scandir(s->from, &entries, visible, alphasort);
    int32_t rc = n > 0 ? BP_OK : err_set(err, BP_IO, "there is nothing in the template %s", s->from);
    int made = rc == BP_OK && mkdir(s->to, 0777) == 0;
    if (rc == BP_OK && !made)
        rc = err_set(err, BP_IO, "cannot make the folder %s: %s", s->to, strerror(errno));
    for (int i = 0; i < n; i++) {
        if (rc == BP_OK)
            rc = copy_file(s, entries[i]->d_name, err);
        free(entries[i]);
    }
    free(entries);
    if (rc != BP_OK && made)
        undo(s);
    return rc;
}

static int32_t prepare(struct scaffold *s, const char *kind, const char *name, const char *dir, struct bp_err *err)
{
    char templates[PATH_MAX], placeholder[NAME_BYTES];
    if (strcmp(kind, "workflow") != 0 && strcmp(kind, "queue") != 0 && strcmp(kind, "cloud") != 0)
        return err_set(err, BP_INVALID, "there is no kind of plugin \"%.60s\": it is workflow, queue or cloud", kind);
    int32_t rc = plugin_name_make(name, &s->new, err);
    if (rc != BP_OK)
        return rc;
    snprintf(placeholder, sizeof placeholder, "my-%s", kind);
    plugin_name_make(placeholder, &s->old, NULL);
    templates_dir(templates);
    if (strlen(templates) + strlen(kind) + 2 > sizeof s->from || strlen(dir) + strlen(name) + 2 > sizeof s->to)
        return err_set(err, BP_INVALID, "the path %.100s is too long", dir);
    snprintf(s->from, sizeof s->from, "%.*s/%.60s", (int)sizeof s->from - 62, templates, kind);
    snprintf(s->to, sizeof s->to, "%.*s%s%.64s", (int)sizeof s->to - 66, strcmp(dir, ".") == 0 ? "" : dir,
             strcmp(dir, ".") == 0 ? "" : "/", name);
    if (!is_dir(s->from))
        return err_set(err, BP_NOTFOUND,
                       "there are no templates in %s; make install puts them there, BPD_TEMPLATES "
                       "names another folder",
                       templates);
    if (!is_dir(dir))
        return err_set(err, BP_NOTFOUND, "there is no folder %s to write to; --dir names another", dir);
    if (access(s->to, F_OK) == 0)
        return err_set(err, BP_CONFLICT, "%s is there already; remove it, or give --dir or another name", s->to);
    return BP_OK;
}

static void report(const struct scaffold *s, int json)
{
    if (json) {
        struct json_object *o = json_object_new_object();
        json_object_object_add(o, "dir", json_object_new_string(s->to));
        json_object_object_add(o, "files", json_object_get(s->files));
        printf("%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(o);
        return;
    }
    printf("%s:", s->to);
    for (size_t i = 0; i < json_object_array_length(s->files); i++)
        printf(" %s", json_object_get_string(json_object_array_get_idx(s->files, i)));
    printf("\nNext: cd %s; cmake -B build && cmake --build build && ctest --test-dir build\n", s->to);
}

void plugin_new_details(FILE *out)
{
    fputs("KIND is workflow, queue or cloud. NAME has a-z, 0-9 and '-': sepia, brown-tones.\n\n"
          "      --dir DIR  the folder in which the plugin's own, NAME, is made (.)\n\n"
          "What is written builds, passes its own test and does a little real work; its README.md says the rest.\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage.\n",
          out);
}

int plugin_new(int argc, char **argv, int json)
{
    static struct scaffold s;
    struct bp_err err = {0};
    const char *dir = ".", *words[2] = {NULL, NULL};
    int n = 0;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--dir") == 0 && i + 1 < argc)
            dir = argv[++i];
        else if (strncmp(argv[i], "--dir=", 6) == 0)
            dir = argv[i] + 6;
        else if (argv[i][0] == '-' || n == 2)
            return 2;
        else
            words[n++] = argv[i];
    }
    if (n < 2)
        return 2;
    s.files = json_object_new_array();
    int32_t rc = prepare(&s, words[0], words[1], dir, &err);
    if (rc == BP_OK)
        rc = copy_all(&s, &err);
    if (rc == BP_OK)
        report(&s, json);
    else
        fprintf(stderr, "bpctl: %s\n", err.text);
    json_object_put(s.files);
    return rc != BP_OK;
}
