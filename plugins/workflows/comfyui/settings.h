/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.h - what a workflow's file says about its graph. The names are those of the rows and payloads of the field's
 * workers, so that such a row can be taken over as it is.
 *
 * A property is one value that goes into the graph in place of its placeholder: a param of the job, or a file.
 */
#ifndef COMFYUI_SETTINGS_H
#define COMFYUI_SETTINGS_H

#include <bp/plugin.h>

struct json_object;

#define PROPERTIES_MAX 64

/* TEXT takes the JSON type its value has; the numbers and BOOLEAN turn text into what they are; FILE is a name in
 * ComfyUI's input folder. */
enum property_type { PROPERTY_TEXT = 1, PROPERTY_INTEGER, PROPERTY_NUMBER, PROPERTY_BOOLEAN, PROPERTY_FILE };

/* Texts are borrowed from the settings' JSON. */
struct property {
    const char *key;         /* the param's name; of a file, a name for messages */
    const char *placeholder; /* "__PROMPT__" */
    enum property_type type;
    struct json_object *fallback; /* "default_value", NULL: none; of a file: a name beside the workflow's file */
    const char *in_comfyui;       /* a file that is in ComfyUI's input folder already, NULL: none */
    int required;
    int configurable; /* may come from the job; what a job says of another is passed over */
    int primary;      /* takes the job's first input */
};

struct settings {
    struct json_object *root;             /* owns every text */
    const char *dir;                      /* where relative names begin; borrowed from the job */
    char url[512];                        /* without a slash at its end */
    struct json_object *graph;            /* an object, or a file name */
    struct json_object *extra_data;       /* NULL: none */
    const char *output_node;              /* NULL: the first node that gave a file */
    const char *input_placeholder;        /* of the first input, where no property is primary */
    const char *input_prefix;             /* goes before the names of uploaded files */
    const char *input_node, *input_field; /* where the first input's name goes too; NULL: nowhere */
    int32_t start_s;                      /* how long ComfyUI may take to come up, and to come back */
    int32_t request_s, transfer_s;        /* of a small call; of an upload or a download */
    int64_t output_bytes;                 /* of the largest output that is taken */
    struct property properties[PROPERTIES_MAX];
    uint32_t n_properties;
};

/* Reads the JSON text; settings_free() also after an error. BP_INVALID names the setting and what is wrong with it. */
int32_t settings_read(struct settings *s, const char *text, const char *dir, struct bp_err *err);
/* The key of the property that need not have its placeholder, for its value goes to a node by name; NULL: none. */
const char *settings_spare_key(const struct settings *s);
void settings_free(struct settings *s);

#endif
