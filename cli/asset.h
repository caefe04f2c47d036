/* SPDX-License-Identifier: Apache-2.0 */
/* asset.h - `bpctl asset put FILE`: hashes a file, puts it into the objects service under its SHA-256, and prints the
 * entry for a workflow's "assets". */
#ifndef CLI_ASSET_H
#define CLI_ASSET_H

#include "client.h"

void asset_put_help(FILE *out);
/* argv begins after the words asset put. Returns the exit status. */
int asset_put(struct client *c, int argc, char **argv);

#endif
