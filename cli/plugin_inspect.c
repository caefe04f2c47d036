/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_inspect.c - bpctl plugin inspect: what stands in a plugin file. */
#include "plugin.h"

#include "log/err.h"
#include "plugin_file.h"
#include "signature_state.h"
#include <string.h>

static struct json_object *describe(const struct plugin_file *f)
{
    char words[600];
    struct signature_state s;
    struct json_object *o = json_object_new_object();
    struct json_object *facets = json_member(f->manifest->json, "facets");
    json_put_str(o, "file", f->path);
    json_put_int(o, "bytes", (int64_t)f->st.st_size);
    json_put_str(o, "sha256", f->sha);
    json_put_str(o, "name", f->manifest->name);
    json_put_str(o, "kind", kind_name(f->manifest->kind));
    json_put_str(o, "version", f->manifest->version);
    json_put_str(o, "abi", json_str(f->manifest->json, "abi", ""));
    signature_state_read(f, &s);
    signature_state_words(&s, words, sizeof words);
    json_put_str(o, "signature", words);
    json_object_object_add(o, "facets", facets ? json_object_get(facets) : json_object_new_array());
    json_object_object_add(o, "manifest", json_object_get(f->manifest->json));
    return o;
}

static void print_texts(const char *name, struct json_object *list)
{
    printf("%-10s", name);
    for (size_t i = 0; i < json_object_array_length(list); i++)
        printf("%s%s", i ? ", " : "", json_object_get_string(json_object_array_get_idx(list, i)));
    printf("%s\n", json_object_array_length(list) ? "" : "not listed");
}

static void print(struct json_object *o)
{
    static const char *const rows[] = {"file", "bytes", "sha256", "name", "kind", "version", "abi", "signature"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        printf("%-10s%s\n", rows[i], json_object_get_string(json_member(o, rows[i])));
    print_texts("facets", json_member(o, "facets"));
    printf("%s\n", json_object_to_json_string_ext(json_member(o, "manifest"), JSON_C_TO_STRING_PRETTY |
                                                                                  JSON_C_TO_STRING_SPACED |
                                                                                  JSON_C_TO_STRING_NOSLASHESCAPE));
}

int plugin_inspect(int argc, char **argv, int json)
{
    struct plugin_file f;
    struct bp_err err = {0};
    if (argc != 1)
        return 2;
    int rc = plugin_file_open(&f, argv[0], &err);
    if (rc == BP_OK && !f.manifest)
        rc = err_set(&err, f.wrong.rc, "%s: %s", argv[0], f.wrong.text);
    if (rc == BP_OK) {
        struct json_object *o = describe(&f);
        if (json)
            printf("%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
        else
            print(o);
        json_object_put(o);
    } else {
        fprintf(stderr, "bpctl: %s\n", err.text);
    }
    plugin_file_close(&f);
    return rc < 0;
}
