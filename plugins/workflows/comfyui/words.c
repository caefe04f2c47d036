/* SPDX-License-Identifier: Apache-2.0 */
#include "words.h"

#include "json.h"

#include <bp/workflow.h>
#include <stdio.h>
#include <strings.h>

/* How many of n bytes are left without the beginning of a character whose end was cut off. */
static size_t whole_characters(const char *text, size_t n)
{
    size_t tail = n;
    while (tail > 0 && ((unsigned char)text[tail - 1] & 0xc0) == 0x80)
        tail--;
    if (tail == 0 || ((unsigned char)text[tail - 1] & 0xc0) != 0xc0)
        return n;
    unsigned char lead = (unsigned char)text[tail - 1];
    size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    return n - (tail - 1) < want ? tail - 1 : n;
}

const char *words_line(const char *text, char *out, size_t n)
{
    size_t k = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p && k + 1 < n; p++) {
        unsigned char c = *p < ' ' || *p == 0x7f ? ' ' : *p;
        if (c == ' ' && (k == 0 || out[k - 1] == ' '))
            continue;
        out[k++] = (char)c;
    }
    k = whole_characters(out, k);
    while (k > 0 && out[k - 1] == ' ')
        k--;
    out[k] = '\0';
    return out;
}

/* err's text with its last character whole. */
static int32_t ended(int32_t rc, struct bp_err *err)
{
    err->text[whole_characters(err->text, strlen(err->text))] = '\0';
    return rc;
}

/* A part of a type's name or of a message, and what such an error means. Looked for in this order. */
static const struct {
    const char *part;
    int32_t rc;
} meanings[] = {
    {"OutOfMemory", BP_NOMEM},    {"out of memory", BP_NOMEM},     {"Allocation on device", BP_NOMEM},
    {"CUDA error", BP_FAIL},      {"AcceleratorError", BP_FAIL},   {"CUDNN_STATUS", BP_FAIL},
    {"CUBLAS_STATUS", BP_FAIL},   {"device-side assert", BP_FAIL}, {"No space left on device", BP_FAIL},
    {"ConnectionError", BP_FAIL}, {"ConnectionReset", BP_FAIL},    {"ConnectTimeout", BP_FAIL},
    {"ReadTimeout", BP_FAIL},     {"TimeoutError", BP_FAIL},
};

static int32_t meaning(const char *type, const char *message)
{
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (strcasestr(type, meanings[i].part) || strcasestr(message, meanings[i].part))
            return meanings[i].rc;
    return BP_BADINPUT;
}

int32_t words_node_error(struct json_object *data, struct bp_err *err)
{
    char id[24], class[48], type[48], message[140];
    const char *type_text = json_str(data, "exception_type", ""),
               *message_text = json_str(data, "exception_message", "");
    struct json_object *node = json_member(data, "node_id");
    words_line(node ? json_object_get_string(node) : "?", id, sizeof id);
    words_line(json_str(data, "node_type", "?"), class, sizeof class);
    words_line(type_text, type, sizeof type);
    words_line(*message_text ? message_text : "no reason given", message, sizeof message);
    int32_t rc = meaning(type_text, message_text);
    if (rc == BP_NOMEM)
        bp_error(err, rc, "the GPU has no room for node %s (%s): %.100s; a smaller size or a larger GPU helps", id,
                 class, message);
    else
        bp_error(err, rc, "node %s (%s) failed: %s%s%s", id, class, type, *type ? ": " : "", message);
    return ended(rc, err);
}

/* "Value not in list: ckpt_name: 'x' not in []" of one error of a node. */
static void describe(struct json_object *error, char *out, size_t n)
{
    char message[100], details[140];
    words_line(json_str(error, "message", ""), message, sizeof message);
    words_line(json_str(error, "details", ""), details, sizeof details);
    char both[256];
    snprintf(both, sizeof both, "%s%s%s", message, *message && *details ? ": " : "", details);
    words_line(both, out, n);
}

static int is_model(const char *name)
{
    static const char *const endings[] = {".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".onnx"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof endings[0]; i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return 1;
    return 0;
}

/* A model that ComfyUI does not have, of "ckpt_name: 'x.safetensors' not in [...]", where others may be listed. */
static int describe_missing_model(struct json_object *error, char *out, size_t n)
{
    const char *details = json_str(error, "details", "");
    const char *from = strstr(details, ": '"), *to = from ? strstr(from, "' not in ") : NULL;
    char input[40], model[100];
    if (strcmp(json_str(error, "type", ""), "value_not_in_list") != 0 || !to ||
        to - from - 3 >= (ptrdiff_t)sizeof model)
        return 0;
    snprintf(model, sizeof model, "%.*s", (int)(to - from - 3), from + 3);
    snprintf(input, sizeof input, "%.*s", (int)(from - details), details);
    if (!is_model(model))
        return 0;
    char both[256];
    snprintf(both, sizeof both, "ComfyUI has no %s %s: list it in \"assets\" with its \"place\"", input, model);
    words_line(both, out, n);
    return 1;
}

/* The node's first error in words; BP_INVALID. */
static int32_t node_refused(const char *id, struct json_object *node, int more, struct bp_err *err)
{
    char node_id[24], class[48], why[180], others[24] = "";
    struct json_object *errors = json_member(node, "errors");
    words_line(id, node_id, sizeof node_id);
    words_line(json_str(node, "class_type", "?"), class, sizeof class);
    struct json_object *first =
        json_object_is_type(errors, json_type_array) ? json_object_array_get_idx(errors, 0) : NULL;
    if (!describe_missing_model(first, why, sizeof why))
        describe(first, why, sizeof why);
    if (more > 0)
        snprintf(others, sizeof others, " (and %d more)", more);
    bp_error(err, BP_INVALID, "ComfyUI refuses node %s (%s): %s%s", node_id, class, *why ? why : "no reason given",
             others);
    return ended(BP_INVALID, err);
}

int32_t words_refusal(long status, struct json_object *answer, const char *body, struct bp_err *err)
{
    char why[180] = "";
    int32_t rc = status >= 500 || status == 429 ? BP_FAIL : BP_INVALID;
    struct json_object *nodes = json_member(answer, "node_errors"), *error = json_member(answer, "error");
    int n = json_object_is_type(nodes, json_type_object) ? json_object_object_length(nodes) : 0;
    if (n > 0) {
        json_object_object_foreach(nodes, id, node)
        {
            return node_refused(id, node, n - 1, err);
        }
    }
    if (json_object_is_type(error, json_type_object))
        describe(error, why, sizeof why);
    else
        words_line(json_object_is_type(error, json_type_string) ? json_object_get_string(error)
                   : body                                       ? body
                                                                : "",
                   why, sizeof why);
    if (status == 413)
        return bp_error(err, BP_INVALID,
                        "the graph is larger than ComfyUI takes; start it with a larger --max-upload-size");
    bp_error(err, rc, "ComfyUI refuses the graph (status %ld): %s", status, *why ? why : "no reason given");
    return ended(rc, err);
}

/* Whether an output that a node's errors stop is `output`. */
static int stops(struct json_object *node, const char *output)
{
    struct json_object *list = json_member(node, "dependent_outputs");
    for (size_t i = 0; json_object_is_type(list, json_type_array) && i < json_object_array_length(list); i++) {
        const char *id = json_object_get_string(json_object_array_get_idx(list, i));
        if (!output || (id && strcmp(id, output) == 0))
            return 1;
    }
    return 0;
}

int32_t words_partial(struct json_object *node_errors, const char *output, struct bp_err *err)
{
    if (!json_object_is_type(node_errors, json_type_object))
        return BP_OK;
    json_object_object_foreach(node_errors, id, node)
    {
        if (stops(node, output))
            return node_refused(id, node, 0, err);
    }
    return BP_OK;
}
