/* SPDX-License-Identifier: Apache-2.0 */
/* vet.h - everything that is asked of a plugin file before any code of it runs. Blocking; any thread. */
#ifndef VETTING_VET_H
#define VETTING_VET_H

#include "pluginfile/manifest.h"
#include "pluginfile/signature.h"
#include "vetting/copy.h"
#include "vetting/definition.h"

struct stat;

struct vet_spec {
    const char *path;          /* the file as the operator sees it */
    const char *copies;        /* directory of private copies */
    const char *plugin_config; /* JSON text of config `plugin`, all plugins */
    int64_t max_bytes;
    const struct signers *signers; /* who may sign; NULL: no signature is asked for */
    const char *signature;         /* text of it when it is known already; NULL: it is in <path>.sig */
};

struct vetted {
    struct definition *definition; /* of a file of workflows.d, else NULL; the rest then comes with its plugin */
    char code[65];                 /* of the same: SHA-256 of the plugin's file; copy.sha is of both */
    struct manifest *manifest;
    struct json_object *settings; /* resolved, without "_bpd" */
    char *given;                  /* text of config plugin.<name> as it was, to see later whether it changed */
    struct copy copy;
    char *signature; /* text of the .sig file, NULL: there is none */
};

/*
 * BP_OK: *out is filled in, vetted_clear() it. BP_LATER: the file is incomplete; ask again soon. Else one sentence that
 * completes "FILE refused: ". When the manifest could be read, out->manifest is set even so (for the name in messages).
 */
int vet_file(const struct vet_spec *spec, struct vetted *out, struct bp_err *err);
/* The same of a file of workflows.d: only out->definition is filled in. */
int vet_definition(const struct vet_spec *spec, struct vetted *out, struct bp_err *err);
void vetted_clear(struct vetted *v);
/* Owner root or us, and nobody else may write: whoever can change the file runs code as us. what: "it", "its
 * directory". BP_DENIED with a sentence that has the remedy. */
int vet_owner(const struct stat *st, const char *what, struct bp_err *err);
/* Text of config plugin.<name> in `plugin_config`, malloc'ed, "" when there is none. */
char *vet_given(struct json_object *plugin_config, const char *name);

#endif
