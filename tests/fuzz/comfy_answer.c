/* SPDX-License-Identifier: Apache-2.0 */
/* What a ComfyUI, or something in its place, answers: histories, refusals, messages. All are walked within their
 * bounds, whatever types their members have, and the words made of them end and hold no control characters. */
#include "events.h"
#include "graph.h"
#include "history.h"
#include "json.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_words(const struct bp_err *err)
{
    size_t n = strnlen(err->text, sizeof err->text);
    if (n == sizeof err->text)
        abort();
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)err->text[i] < ' ')
            abort();
}

static void walk_history(struct json_object *o)
{
    struct bp_err err = {0};
    struct output_file f;
    struct json_object *entry = history_entry(o, "p");
    if ((history_state(entry) == HISTORY_ABSENT) != !entry)
        abort();
    if (history_output(entry ? entry : o, "9", &f, &err) < 0)
        check_words(&err);
    history_output(entry ? entry : o, NULL, &f, &err);
    if (words_node_error(history_error(entry), &err) >= 0 || words_node_error(o, &err) >= 0)
        abort();
    check_words(&err);
}

static void walk_refusal(struct json_object *o, const char *body)
{
    struct bp_err err = {0};
    if (words_refusal(400, o, body, &err) != BP_INVALID)
        abort();
    check_words(&err);
    words_partial(json_member(o, "node_errors"), "9", &err);
    check_words(&err);
}

static void walk_event(const char *text, size_t n, struct json_object *o)
{
    char words[60];
    struct events e;
    events_open(&e, "p", o);
    events_take(&e, text, n);
    double f = events_fraction(&e);
    if (!(f >= 0 && f <= 1))
        abort();
    events_words(&e, words, sizeof words);
    events_close(&e);
}

/* A graph is the operator's, yet a file may hold anything. */
static void fill(struct json_object *o)
{
    struct bp_err err;
    struct json_object *graph;
    struct value v = {"__P__", "p", json_object_new_string("__P__"), 0};
    if (graph_read(o, "", &graph, &err) == BP_OK) {
        graph_fill(graph, &v, 1, NULL, &err);
        json_object_put(graph);
    }
    json_object_put(v.json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    struct json_object *o = json_read(text, size);
    if (!json_object_is_type(o, json_type_string)) {
        walk_history(o);
        walk_refusal(o, text);
        walk_event(text, size, o);
        if (o)
            fill(o);
    }
    json_object_put(o);
    free(text);
    return 0;
}
