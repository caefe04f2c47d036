/* SPDX-License-Identifier: Apache-2.0 */
/* slugs.h - what a worker serves: a JSON array of slugs of workflows. */
#ifndef QUEUE_SLUGS_H
#define QUEUE_SLUGS_H

struct json_object;

/* The array, which is the caller's to put; an empty one for NULL, NULL when the text is not such an array. */
struct json_object *slugs_parse(const char *text);

#endif
