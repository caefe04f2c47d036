/* SPDX-License-Identifier: Apache-2.0 */
/* lore.c - what the provider has learned of its cloud (pools that fail, say): asked for with each look, kept by the
 * scaling engine beside what was learned of lives, and told to the provider again after a start or a takeover. */
#include "fleet_priv.h"

#include "log/json.h"
#include "log/log.h"
#include <stdlib.h>
#include <string.h>

void lore_ask(const struct fleets *f, struct lore *l)
{
    l->recall = f->to_recall ? strdup(f->to_recall) : NULL;
}

void lore_run(const struct bp_fleet *t, void *inst, struct lore *l)
{
    struct bp_err own = {0}; /* without it the rest of a look is as good */
    if (!BP_HAS(t, learned) || !BP_HAS(t, recall))
        return;
    if (l->recall)
        l->recalled = t->recall(inst, l->recall, &own) == 0;
    l->answered = t->learned(inst, &l->learned, &own) >= 0;
    if (!l->answered)
        log_debug(LOG_FLEET, "the provider does not say what it has learned: %s", own.text);
}

void lore_got(struct fleets *f, struct lore *l)
{
    if (l->recall && l->recalled && f->to_recall && strcmp(l->recall, f->to_recall) == 0) {
        free(f->to_recall);
        f->to_recall = NULL;
    }
    if (!l->answered)
        return;
    if (l->learned && strlen(l->learned) > BP_FLEET_LEARNED_MAX) {
        log_debug(LOG_FLEET, "what the provider has learned is longer than %d bytes and not kept",
                  BP_FLEET_LEARNED_MAX);
        return;
    }
    free(f->learned);
    f->learned = l->learned;
    l->learned = NULL;
}

void lore_free(struct lore *l)
{
    free(l->recall);
    free(l->learned);
}

void lore_again(struct fleets *f)
{
    if (f->to_recall || !f->learned)
        return;
    f->to_recall = f->learned;
    f->learned = NULL;
}

const char *lore_text(const struct fleets *f)
{
    return f->to_recall ? f->to_recall : f->learned;
}

void lore_take(struct fleets *f, struct json_object *o)
{
    char *text = o ? strdup(json_text(o)) : NULL;
    if (!text)
        return;
    free(f->to_recall);
    f->to_recall = text;
    fleets_poke(f);
}
