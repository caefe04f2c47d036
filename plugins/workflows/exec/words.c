/* SPDX-License-Identifier: Apache-2.0 */
#include "words.h"

#include "script.h"

#include <bp/workflow.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_BYTES 128
#define VALUE_MAX      100000 /* of one variable; Linux takes 131,072 bytes with its name */

/* A list that grows, always NULL-terminated once something was added. */
struct list {
    char **at;
    size_t n, room;
    int failed;
};

/* Takes text, which may be NULL when there was no memory for it. */
static void add(struct list *l, char *text)
{
    if (l->n + 1 >= l->room && !l->failed) {
        size_t room = l->room ? l->room * 2 : 32;
        char **grown = realloc(l->at, room * sizeof *grown);
        if (grown) {
            l->at = grown;
            l->room = room;
        }
        l->failed |= !grown;
    }
    l->failed |= !text;
    if (l->failed) {
        free(text);
        return;
    }
    l->at[l->n++] = text;
    l->at[l->n] = NULL;
}

static void list_free(char **at)
{
    for (char **p = at; p && *p; p++)
        free(*p);
    free(at);
}

/* One text being made. */
struct making {
    const struct settings *settings;
    const struct scope *scope;
    char where[NAME_MAX_BYTES + 32]; /* "settings.command[2]" */
    FILE *out;
    int absent;       /* a param in it is absent */
    int begins_param; /* its first bytes are a tenant's text */
    char param[NAME_MAX_BYTES];
};

/* ---- placeholders ---- */

/* params.a.b; NULL when absent or null. */
static struct json_object *param_find(struct json_object *params, const char *path)
{
    char part[NAME_MAX_BYTES];
    struct json_object *at = params;
    while (at && *path) {
        size_t n = strcspn(path, ".");
        snprintf(part, sizeof part, "%.*s", (int)n, path);
        struct json_object *next = NULL;
        if (!json_object_is_type(at, json_type_object) || !json_object_object_get_ex(at, part, &next))
            return NULL;
        at = next;
        path += n + (path[n] == '.');
    }
    return at;
}

static const char *value_text(struct json_object *v)
{
    if (json_object_is_type(v, json_type_string))
        return json_object_get_string(v);
    return json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

/* As the host checks params: what no "properties" names is refused, unless the schema takes others. */
static int32_t check_param(const struct making *m, const char *path, struct bp_err *err)
{
    char name[NAME_MAX_BYTES];
    struct json_object *schema = m->scope->sample.schema, *known = NULL, *others = NULL;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(path, "."), path);
    json_object_object_get_ex(schema, "properties", &known);
    json_object_object_get_ex(schema, "additionalProperties", &others);
    int open = others ? !json_object_is_type(others, json_type_boolean) || json_object_get_boolean(others) : !known;
    if (open || (json_object_is_type(known, json_type_object) && json_object_object_get_ex(known, name, NULL)))
        return BP_OK;
    return bp_error(err, BP_INVALID,
                    "%s: the workflow has no param %.60s: name it in \"params\", or correct {params.%.60s}", m->where,
                    name, path);
}

static int32_t put_param(struct making *m, const char *path, struct bp_err *err)
{
    if (m->scope->sample.schema) {
        fputs("x", m->out);
        return check_param(m, path, err);
    }
    struct json_object *v = param_find(m->scope->params, path);
    if (!v) {
        m->absent = 1;
        return BP_OK;
    }
    if (ftell(m->out) == 0 && json_object_is_type(v, json_type_string)) {
        m->begins_param = 1;
        snprintf(m->param, sizeof m->param, "%s", path);
    }
    fputs(value_text(v), m->out);
    return BP_OK;
}

/* "" is the first, ".3" the third. */
static int32_t put_input(struct making *m, const char *which, struct bp_err *err)
{
    const struct scope *s = m->scope;
    long n = *which ? strtol(which + 1, NULL, 10) : 1;
    if (s->sample.schema && n >= 1) {
        fputs("/input", m->out);
        return BP_OK;
    }
    if (s->sample.schema)
        return bp_error(err, BP_INVALID, "%s: {input.0} is none: inputs are counted from 1", m->where);
    if (n < 1 || n > (long)s->n_inputs)
        return bp_error(err, BP_BADINPUT, "the job has %u input file%s, but the workflow needs number %ld", s->n_inputs,
                        s->n_inputs == 1 ? "" : "s", n);
    fputs(s->inputs[n - 1], m->out);
    return BP_OK;
}

static int is_input(const char *name)
{
    if (strncmp(name, "input", 5) != 0)
        return 0;
    return name[5] == '\0' || (name[5] == '.' && name[6] && strspn(name + 6, "0123456789") == strlen(name + 6));
}

static int lists_asset(struct json_object *list, const char *name)
{
    for (size_t i = 0; json_object_is_type(list, json_type_array) && i < json_object_array_length(list); i++) {
        struct json_object *v = NULL;
        json_object_object_get_ex(json_object_array_get_idx(list, i), "name", &v);
        if (v && strcmp(json_object_get_string(v), name) == 0)
            return 1;
    }
    return 0;
}

/* A file that the workflow's manifest lists under "assets"; the worker has put it there. */
static int32_t put_asset(struct making *m, const char *name, struct bp_err *err)
{
    char path[4300];
    const char *dir = m->scope->assets;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int there = m->scope->sample.schema ? lists_asset(m->scope->sample.assets, name) : access(path, R_OK) == 0;
    if (!*dir || !there)
        return bp_error(err, BP_INVALID,
                        "%s: the workflow lists no asset %.60s: name it in \"assets\" of its file, or of the manifest",
                        m->where, name);
    fputs(path, m->out);
    return BP_OK;
}

static const char *fixed_text(const struct scope *s, const char *name, char number[32])
{
    const struct {
        const char *name, *text;
    } rows[] = {{"output", s->output},
                {"temp", s->temp},
                {"paramsFile", s->params_file},
                {"checkpoint", s->checkpoint},
                {"dir", s->dir},
                {"assets", s->assets},
                {"slug", s->slug},
                {"device", s->device}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].text;
    }
    if (strcmp(name, "job") == 0)
        snprintf(number, 32, "%lld", (long long)s->job);
    else if (strcmp(name, "attempt") == 0)
        snprintf(number, 32, "%d", s->attempt);
    else
        return NULL;
    return number;
}

static int32_t put_placeholder(struct making *m, const char *name, struct bp_err *err)
{
    char number[32];
    const char *text = fixed_text(m->scope, name, number);
    if (text) {
        fputs(text, m->out);
        return BP_OK;
    }
    if (strncmp(name, "params.", 7) == 0 && name[7])
        return put_param(m, name + 7, err);
    if (strncmp(name, "asset.", 6) == 0 && name[6])
        return put_asset(m, name + 6, err);
    if (is_input(name))
        return put_input(m, name + 5, err);
    return bp_error(
        err, BP_INVALID,
        "%s: unknown placeholder {%.40s}; there are {params.NAME} {input} {input.N} {inputs} {output} {temp} "
        "{paramsFile} {checkpoint} {dir} {assets} {asset.NAME} {slug} {job} {attempt} {device}",
        m->where, name);
}

/* Bytes of the name behind a '{' that some placeholder may have, when a '}' follows; else 0. Other braces are text. */
static size_t name_length(const char *p)
{
    size_t n = 0;
    while (isalnum((unsigned char)p[n]) || (n > 0 && (p[n] == '.' || p[n] == '_' || p[n] == '-')))
        n++;
    return isalpha((unsigned char)p[0]) && p[n] == '}' && n < NAME_MAX_BYTES ? n : 0;
}

/* {{name}} stands for the text {name}, ${name} is a shell's. */
static int32_t put_text(struct making *m, const char *text, struct bp_err *err)
{
    char name[NAME_MAX_BYTES];
    for (const char *p = text; *p;) {
        size_t n = *p == '{' ? name_length(p + 1) : 0, twice = *p == '{' && p[1] == '{' ? name_length(p + 2) : 0;
        if (twice && p[twice + 3] == '}') {
            fprintf(m->out, "{%.*s}", (int)twice, p + 2);
            p += twice + 4;
        } else if (n == 0 || (p > text && p[-1] == '$')) {
            fputc(*p++, m->out);
        } else {
            snprintf(name, sizeof name, "%.*s", (int)n, p + 1);
            if (put_placeholder(m, name, err) < 0)
                return err->rc;
            p += n + 2;
        }
    }
    return BP_OK;
}

/* One text with its placeholders filled in; *absent: a param in it is. The caller's: free() it. NULL with err. */
static char *make_text(struct making *m, const char *text, struct bp_err *err)
{
    char *made = NULL;
    size_t n = 0;
    m->absent = m->begins_param = 0;
    m->out = open_memstream(&made, &n);
    if (!m->out) {
        bp_error(err, BP_NOMEM, "no memory for the command");
        return NULL;
    }
    int32_t rc = put_text(m, text, err);
    if (fclose(m->out) == 0 && rc == BP_OK && made)
        return made;
    if (rc == BP_OK)
        bp_error(err, BP_NOMEM, "no memory for the command");
    free(made);
    return NULL;
}

/* ---- arguments ---- */

struct args {
    struct making making;
    struct list list;
    int after_dashes; /* a "--" was there: nothing that follows is an option */
};

static int32_t check_dash(const struct args *a, const char *made, struct bp_err *err)
{
    if (made[0] != '-' || !a->making.begins_param || a->after_dashes || a->making.settings->dashes)
        return BP_OK;
    return bp_error(err, BP_BADINPUT, "the param %.60s begins with '-', which the command would take for an option",
                    a->making.param);
}

static int32_t add_inputs(struct args *a)
{
    for (uint32_t i = 0; i < a->making.scope->n_inputs; i++)
        add(&a->list, strdup(a->making.scope->inputs[i]));
    return BP_OK;
}

static int32_t add_one(struct args *a, const char *text, struct bp_err *err)
{
    if (strcmp(text, "{inputs}") == 0)
        return add_inputs(a);
    char *made = make_text(&a->making, text, err);
    if (!made)
        return err->rc;
    if (check_dash(a, made, err) < 0) {
        free(made);
        return err->rc;
    }
    a->after_dashes |= strcmp(text, "--") == 0;
    add(&a->list, made);
    return BP_OK;
}

/* A list in the command: left out as a whole when a param in it is absent. */
static int32_t add_group(struct args *a, struct json_object *group, struct bp_err *err)
{
    size_t n = json_object_array_length(group);
    for (size_t i = 0; i < n; i++) {
        char *made = make_text(&a->making, json_object_get_string(json_object_array_get_idx(group, i)), err);
        if (!made)
            return err->rc;
        free(made);
        if (a->making.absent)
            return BP_OK;
    }
    for (size_t i = 0; i < n; i++) {
        if (add_one(a, json_object_get_string(json_object_array_get_idx(group, i)), err) < 0)
            return err->rc;
    }
    return BP_OK;
}

static int32_t make_args(struct args *a, struct bp_err *err)
{
    struct json_object *command = a->making.settings->command;
    for (size_t i = 0; i < json_object_array_length(command); i++) {
        struct json_object *one = json_object_array_get_idx(command, i);
        snprintf(a->making.where, sizeof a->making.where, "settings.command[%zu]", i);
        int32_t rc = json_object_is_type(one, json_type_array) ? add_group(a, one, err)
                                                               : add_one(a, json_object_get_string(one), err);
        if (rc < 0)
            return rc;
    }
    if (a->list.failed)
        return bp_error(err, BP_NOMEM, "no memory for the command");
    if (a->list.n == 0 || !a->list.at[0][0])
        return bp_error(err, BP_INVALID, "settings.command names no program");
    return BP_OK;
}

/* ---- environment ---- */

static void set(struct list *l, const char *name, const char *value)
{
    char *text = NULL;
    if (strlen(value) > VALUE_MAX)
        return; /* it is in the file of the params */
    if (asprintf(&text, "%s=%s", name, value) < 0)
        text = NULL;
    add(l, text);
}

/* Theirs go before ours of the same name: those are left out here. */
static int is_ours(const char *entry, struct json_object *env)
{
    char name[NAME_MAX_BYTES];
    size_t n = strcspn(entry, "=");
    if (strncmp(entry, "BP_", 3) == 0 || strncmp(entry, "HOME=", 5) == 0 || strncmp(entry, "TMPDIR=", 7) == 0)
        return strncmp(entry, "BP_CPU_", 7) != 0;
    snprintf(name, sizeof name, "%.*s", (int)n, entry);
    return env && json_object_object_get_ex(env, name, NULL);
}

/* BP_PARAM_ and the name in capitals, '_' for what is neither letter nor digit. */
static void set_params(struct list *l, struct json_object *params)
{
    json_object_object_foreach(params, name, value)
    {
        char variable[NAME_MAX_BYTES + 16] = "BP_PARAM_";
        size_t n = strlen(variable);
        for (const char *p = name; *p && n < sizeof variable - 1; p++)
            variable[n++] = (char)(isalnum((unsigned char)*p) ? toupper((unsigned char)*p) : '_');
        variable[n] = '\0';
        if (value)
            set(l, variable, value_text(value));
    }
}

static void set_job(struct list *l, const struct scope *s)
{
    char number[32], name[32];
    set(l, "HOME", s->temp);
    set(l, "TMPDIR", s->temp);
    set(l, "BP_TEMP", s->temp);
    set(l, "BP_OUTPUT", s->output);
    set(l, "BP_PARAMS_FILE", s->params_file);
    set(l, "BP_CHECKPOINT", s->checkpoint);
    set(l, "BP_SETTINGS_DIR", s->dir);
    set(l, "BP_ASSETS_DIR", s->assets);
    set(l, "BP_SLUG", s->slug);
    set(l, "BP_DEVICE", s->device);
    snprintf(number, sizeof number, "%lld", (long long)s->job);
    set(l, "BP_JOB", number);
    snprintf(number, sizeof number, "%d", s->attempt);
    set(l, "BP_ATTEMPT", number);
    snprintf(number, sizeof number, "%u", s->n_inputs);
    set(l, "BP_INPUTS", number);
    if (s->n_inputs > 0)
        set(l, "BP_INPUT", s->inputs[0]);
    for (uint32_t i = 0; i < s->n_inputs; i++) {
        snprintf(name, sizeof name, "BP_INPUT_%u", i + 1);
        set(l, name, s->inputs[i]);
    }
}

/* A variable by which a program finds code is no place for a tenant's text. */
static int finds_code(const char *name)
{
    static const char *const names[] = {"PATH",  "LD_", "BASH_ENV",   "ENV",       "PYTHON",     "PERL5", "RUBY",
                                        "NODE_", "IFS", "GCONV_PATH", "SHELLOPTS", "BASH_FUNC_", "JAVA_", "GIO_"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strncmp(name, names[i], strlen(names[i])) == 0)
            return 1;
    }
    return 0;
}

static int32_t set_own(struct list *l, struct making *m, struct bp_err *err)
{
    if (!m->settings->env)
        return BP_OK;
    json_object_object_foreach(m->settings->env, name, value)
    {
        const char *text = json_object_get_string(value);
        snprintf(m->where, sizeof m->where, "settings.env.%.100s", name);
        if (!*name || strchr(name, '='))
            return bp_error(err, BP_INVALID, "%s is no name of a variable", m->where);
        if (finds_code(name) && script_has_param(text))
            return bp_error(err, BP_INVALID, "%s must not hold a param: programs find code by it", m->where);
        char *made = make_text(m, text, err);
        if (!made)
            return err->rc;
        set(l, name, made);
        free(made);
    }
    return BP_OK;
}

static int32_t make_env(struct list *l, struct making *m, char *const *base, struct bp_err *err)
{
    for (char *const *e = base; e && *e; e++) {
        if (!is_ours(*e, m->settings->env))
            add(l, strdup(*e));
    }
    set_job(l, m->scope);
    set_params(l, m->scope->params);
    if (set_own(l, m, err) < 0)
        return err->rc;
    return l->failed ? bp_error(err, BP_NOMEM, "no memory for the command's environment") : BP_OK;
}

/* ---- all ---- */

int32_t words_make(struct words *w, const struct settings *s, const struct scope *scope, char *const *base,
                   struct bp_err *err)
{
    struct args a = {.making = {.settings = s, .scope = scope}};
    struct making m = {.settings = s, .scope = scope};
    struct list env = {0};
    int32_t rc = script_check(s->command, err);
    rc = rc < 0 ? rc : make_args(&a, err);
    rc = rc < 0 ? rc : make_env(&env, &m, base, err);
    *w = (struct words){a.list.at, env.at};
    if (rc < 0)
        words_free(w);
    return rc;
}

void words_free(struct words *w)
{
    list_free(w->argv);
    list_free(w->envp);
    w->argv = w->envp = NULL;
}

static const char *path_of(char *const *envp)
{
    for (char *const *e = envp; e && *e; e++) {
        if (strncmp(*e, "PATH=", 5) == 0)
            return *e + 5;
    }
    return "/usr/local/bin:/usr/bin:/bin";
}

static int is_executable(const char *path)
{
    return access(path, X_OK) == 0;
}

/* access() does not know of a sandbox, which may close one directory of PATH and leave the next open. */
static int is_open(const char *path)
{
    int fd = is_executable(path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* The first file of that name in PATH which fits. */
static int search(const struct words *w, size_t n, char *out, int (*fits)(const char *path))
{
    for (const char *p = path_of(w->envp); *p;) {
        size_t k = strcspn(p, ":");
        if (k > 0 && snprintf(out, n, "%.*s/%s", (int)k, p, w->argv[0]) < (int)n && fits(out))
            return 1;
        p += k + (p[k] == ':');
    }
    return 0;
}

int32_t words_program(const struct words *w, const char *dir, char *out, size_t n, struct bp_err *err)
{
    const char *name = w->argv[0];
    if (strchr(name, '/')) {
        int bytes = *name == '/' ? snprintf(out, n, "%s", name) : snprintf(out, n, "%s/%s", dir, name);
        if (bytes < (int)n && access(out, X_OK) == 0)
            return BP_OK;
        return bp_error(err, BP_NOTFOUND, "cannot run %.140s: %s", out,
                        errno == EACCES ? "it may not be executed (chmod +x)" : strerror(errno));
    }
    if (search(w, n, out, is_open) || search(w, n, out, is_executable))
        return BP_OK;
    return bp_error(err, BP_NOTFOUND,
                    "there is no program %.60s in the worker's PATH: install it there, or name it by an absolute path",
                    name);
}
