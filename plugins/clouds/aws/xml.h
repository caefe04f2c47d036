/* SPDX-License-Identifier: Apache-2.0 */
/* xml.h - an XML answer as a small tree, parsed by expat; namespaces are dropped, depth and size bounded. */
#ifndef AWS_XML_H
#define AWS_XML_H

#include <bp/plugin.h>
#include <stddef.h>
#include <stdint.h>

struct xml; /* one element */

/* The root element of n bytes; NULL with BP_INVALID (not well formed, too deep, truncated) or BP_NOMEM. */
struct xml *xml_parse(const char *text, size_t n, struct bp_err *err);
void xml_free(struct xml *root);
/* Zeroes every text of the tree, before it is freed: one was a secret. NULL is fine. */
void xml_wipe(struct xml *root);
/* The first element at a path of names below x ("DescribeResult/Groups"); NULL when there is none, or x is NULL. */
const struct xml *xml_at(const struct xml *x, const char *path);
/* Its text ("" when absent or x is NULL): xml_text(x, "Instances/InstanceId"). path "" is x itself. Borrowed. */
const char *xml_text(const struct xml *x, const char *path);
int64_t xml_int(const struct xml *x, const char *path, int64_t otherwise);
int xml_bool(const struct xml *x, const char *path);        /* "true" */
int64_t xml_time_ms(const struct xml *x, const char *path); /* ISO-8601; 0: absent or not a time */
/* Each <member> or <item> or named element: for (m = xml_first(x, "Groups/member"); m; m = xml_next(m)). */
const struct xml *xml_first(const struct xml *x, const char *path);
const struct xml *xml_next(const struct xml *x); /* the next sibling of the same name */
const char *xml_name(const struct xml *x);
/* The result element of a query answer: <OpResponse><OpResult>; the root when there is no wrapper. */
const struct xml *xml_result(const struct xml *root);

#endif
