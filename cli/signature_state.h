/* SPDX-License-Identifier: Apache-2.0 */
/* signature_state.h - what stands in the .sig file beside a plugin file. */
#ifndef CLI_SIGNATURE_STATE_H
#define CLI_SIGNATURE_STATE_H

#include "plugin_file.h"

struct signature_state {
    int there;          /* FILE.so.sig exists */
    int good, bad, old; /* signatures of this content that fit, that do not, and such of other content */
    char by[400];       /* signers of the good ones: "ed25519:..., ed25519:..." */
};

void signature_state_read(const struct plugin_file *f, struct signature_state *out);
/* In words: "none", "by ed25519:...", ... */
void signature_state_words(const struct signature_state *s, char *out, size_t n);

#endif
