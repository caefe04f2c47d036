/* SPDX-License-Identifier: Apache-2.0 */
/* events.h - what ComfyUI's messages say of one prompt: how far it is, and that it is over. */
#ifndef COMFYUI_EVENTS_H
#define COMFYUI_EVENTS_H

#include <stddef.h>
#include <stdint.h>

struct json_object;

struct events {
    const char *prompt_id;     /* messages of others are passed over; borrowed */
    struct json_object *graph; /* for its size and the classes of nodes; borrowed */
    struct json_object *done;  /* the nodes that ran or were cached, as keys */
    char node[64];             /* that runs now; "": none */
    double value, max;         /* of the running node; max is 0 where it does not say */
    int64_t ahead;             /* prompts in ComfyUI's queue while ours waits, as far as it says */
    int states;                /* ComfyUI tells of each node how far it is */
    int started;
    int over; /* it ended; the history says how */
};

void events_open(struct events *e, const char *prompt_id, struct json_object *graph);
void events_close(struct events *e);
/* Takes one message (JSON text). What makes no sense, or is about another prompt, changes nothing. */
void events_take(struct events *e, const char *text, size_t n);
/* How much of the graph has run, 0 to 1, and words for it ("KSampler: 12 of 20"). */
double events_fraction(const struct events *e);
const char *events_words(const struct events *e, char *out, size_t n);

#endif
