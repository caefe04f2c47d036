/* SPDX-License-Identifier: Apache-2.0 */
/* rig.h - a struct aws without the plugin: a host that keeps what is logged, an environment of the test's own. */
#ifndef TEST_RIG_H
#define TEST_RIG_H

#include "aws.h"

extern struct aws rig;
extern char rig_logged[65536];

/* Nothing of the machine's own is seen: no variable of AWS, no home; the shared files are these texts (NULL: none). The
 * settings are that JSON text. Opens no part. */
void rig_open(const char *settings, const char *config, const char *credentials);
/* Replaces a file's text; it counts as changed. */
void rig_write_config(const char *text);
void rig_write_credentials(const char *text);
void rig_close(void);
/* A path in the test's directory, with this text (NULL: not made), mode. */
const char *rig_file(const char *name, const char *text, int mode);

#endif
