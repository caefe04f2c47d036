/* SPDX-License-Identifier: Apache-2.0 */
/* What people read about settings: --help-config, docs/configuration.md, `bpctl config`. */
#include "config/config_private.h"

#include "log/json.h"
#include <string.h>
#include <strings.h>

#define HIDDEN "***"

/* ---- values, without secrets ---- */

static int is_secret_name(const char *key)
{
    static const char *const words[] = {"secret", "token", "password", "passphrase", "credential"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasestr(key, words[i]))
            return 1;
    }
    return 0;
}

/* References tell where a secret is, not what it is. */
static int is_reference(const char *s)
{
    return strncmp(s, "env:", 4) == 0 || strncmp(s, "file:", 5) == 0 || strncmp(s, "param:", 6) == 0;
}

static struct json_object *masked(struct json_object *j, const char *key);

static struct json_object *masked_object(struct json_object *j)
{
    struct json_object *out = json_object_new_object();
    json_object_object_foreach(j, key, v)
    {
        json_object_object_add(out, key, masked(v, key));
    }
    return out;
}

static struct json_object *masked_array(struct json_object *j, const char *key)
{
    struct json_object *out = json_object_new_array();
    for (size_t i = 0; i < json_object_array_length(j); i++)
        json_object_array_add(out, masked(json_object_array_get_idx(j, i), key));
    return out;
}

/* A copy of j in which texts under a name that sounds secret are hidden. */
static struct json_object *masked(struct json_object *j, const char *key)
{
    if (json_object_is_type(j, json_type_object))
        return masked_object(j);
    if (json_object_is_type(j, json_type_array))
        return masked_array(j, key);
    if (json_object_is_type(j, json_type_string) && is_secret_name(key) && !is_reference(json_object_get_string(j)))
        return json_object_new_string(HIDDEN);
    return json_object_get(j);
}

static struct json_object *list_json(const struct value *v)
{
    struct json_object *list = json_object_new_array();
    for (uint32_t i = 0; i < v->n_strs; i++)
        json_object_array_add(list, json_object_new_string(v->strs[i]));
    return list;
}

static void put_value(struct json_object *row, const struct config_info *info, const struct value *v)
{
    switch (info->type) {
    case CONFIG_INT:
        json_put_int(row, "value", v->i);
        break;
    case CONFIG_NUM:
        json_put_num(row, "value", v->num);
        break;
    case CONFIG_BOOL:
        json_put_bool(row, "value", (int)v->i);
        break;
    case CONFIG_STRS:
        json_object_object_add(row, "value", list_json(v));
        break;
    case CONFIG_MAP:
        json_object_object_add(row, "value", masked(v->map, ""));
        break;
    case CONFIG_SECRET:
        json_put_str(row, "value", v->str[0] ? HIDDEN : "");
        break;
    default:
        json_put_str(row, "value", v->str);
    }
}

struct json_object *config_describe(const struct config *c)
{
    struct json_object *all = json_object_new_array();
    for (int i = CONFIG_NONE + 1; i < CONFIG_END; i++) {
        const struct config_info *info = config_info((enum config_key)i);
        struct json_object *row = json_object_new_object();
        json_put_str(row, "key", info->name);
        json_put_str(row, "type", table_type_name(info->type));
        put_value(row, info, &c->values[i]);
        json_put_str(row, "origin", config_origin(c, (enum config_key)i));
        json_put_bool(row, "restart", info->flags & CONFIG_RESTART);
        json_put_str(row, "help", info->help);
        json_object_array_add(all, row);
    }
    return all;
}

/* ---- help ---- */

static void default_text(const struct config_info *info, char *out, size_t bytes)
{
    size_t n = info->type == CONFIG_ENUM ? strcspn(info->fallback, "|") : strlen(info->fallback);
    if (n == 0)
        snprintf(out, bytes, "empty");
    else
        snprintf(out, bytes, "%.*s", (int)n, info->fallback);
}

static void help_text(FILE *out, enum config_key key)
{
    const struct config_info *info = config_info(key);
    char values[160], fallback[128];
    table_describe_values(info, values, sizeof values);
    default_text(info, fallback, sizeof fallback);
    fprintf(out, "%s\n    %s.\n    %s; default %s%s\n", info->name, info->help, values, fallback,
            info->flags & CONFIG_RESTART ? "; a change needs a restart" : "");
}

/* A bar would end a table's cell. */
static void put_cell(FILE *out, const char *s)
{
    for (; *s; s++)
        fprintf(out, *s == '|' ? "\\%c" : "%c", *s);
}

static void help_markdown(FILE *out, enum config_key key)
{
    const struct config_info *info = config_info(key);
    char values[160], fallback[128];
    table_describe_values(info, values, sizeof values);
    default_text(info, fallback, sizeof fallback);
    fprintf(out, "| `%s` | %s | `%s` | ", info->name, values, fallback);
    put_cell(out, info->help);
    fprintf(out, "%s |\n", info->flags & CONFIG_RESTART ? " (restart)" : "");
}

static const char *const intro =
    "Settings come from, weakest first: the defaults, the file given with `--config`, `conf.d/*.json` beside it in\n"
    "order of their names, the environment, `--set key=value`. The file is JSON; comments and commas before a closing\n"
    "bracket are allowed; `{\"http\": {\"listen\": \"...\"}}` and `{\"http.listen\": \"...\"}` mean the same. In the\n"
    "environment `BPD_HTTP_LISTEN` sets `http.listen`. A secret may be given as `env:NAME`, `file:PATH` (which others\n"
    "must not be able to read) or `param:NAME`.\n\n";

/* "http" of "http.listen"; the name itself when it has no section. */
static size_t section_bytes(const char *name)
{
    return strcspn(name, ".");
}

void config_help(FILE *out, int form)
{
    const char *section = "";
    if (form)
        fprintf(
            out,
            "# Configuration\n\n<!-- Generated by `bpd --help-config-markdown`; edit core/config/keys.def. -->\n\n");
    fputs(intro, out);
    for (int i = CONFIG_NONE + 1; i < CONFIG_END; i++) {
        const char *name = config_info((enum config_key)i)->name;
        size_t n = section_bytes(name);
        if (form && (n != section_bytes(section) || strncmp(section, name, n) != 0))
            fprintf(out, "%s## %.*s\n\n| setting | must be | default | meaning |\n|---|---|---|---|\n",
                    i > 1 ? "\n" : "", (int)n, name);
        section = name;
        if (form)
            help_markdown(out, (enum config_key)i);
        else
            help_text(out, (enum config_key)i);
    }
}
