/* SPDX-License-Identifier: Apache-2.0 */
/* schema.h - JSON values (a job's params, a workflow's settings) against the subset of JSON Schema that manifests use.
 */
#ifndef SCHEMA_SCHEMA_H
#define SCHEMA_SCHEMA_H

struct json_object;

/* Checks value against the schema (docs/plugins.md), filling defaults in. Wrong fields are added to `fields` under
 * their path ("params.duration" when prefix is "params"). Returns the number of wrong fields. Any thread. */
int schema_check(struct json_object *schema, struct json_object *value, const char *prefix, struct json_object *fields);
/* Adds one message about one field: field name -> array of messages. */
void fields_add(struct json_object *fields, const char *field, const char *message);

#endif
