/* SPDX-License-Identifier: Apache-2.0 */
/* wipe.h - parsed answers that held a secret. */
#ifndef AWS_WIPE_H
#define AWS_WIPE_H

struct json_object;

/* Zeroes every string of the tree, before it is freed; NULL is fine. Nobody reads it afterwards. */
void json_wipe(struct json_object *o);

#endif
