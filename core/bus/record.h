/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - an event's fields as flat bytes, in the order of its table row: made without an allocation, kept in a ring
 * for bus_recent(), and turned into JSON only when somebody listens.
 */
#ifndef BUS_RECORD_H
#define BUS_RECORD_H

#include <bp/plugin.h>
#include <stdarg.h>

struct json_object;

#define RECORD_TEXT_MAX   4096 /* longer text is cut */
#define RECORD_FIELDS_MAX 8
#define RECORD_BYTES_MAX  (RECORD_FIELDS_MAX * (RECORD_TEXT_MAX + 8))
#define RECENT_EVENTS     1000
#define RECENT_BYTES      (256 * 1024)

struct record {
    int id; /* enum event_id */
    uint32_t bytes;
    int64_t seq, at_ms;
    const char *data;
};

/* Next field of a table row: type 'i', 'f' or 's' and name; 0 at the end. *at starts at the row's fields text. */
struct record_field {
    char type;
    char name[32];
};
int record_field_next(const char **at, struct record_field *f);

/* Both write into data[RECORD_BYTES_MAX] and return the bytes used. The JSON object was checked before. */
uint32_t record_from_args(const char *fields, va_list ap, char *data);
uint32_t record_from_json(const char *fields, struct json_object *obj, char *data);
/* A new object, NULL on no memory. */
struct json_object *record_to_json(const char *fields, const char *data);

/* The ring: the newest RECENT_EVENTS records, fewer when their text is long. */
struct recent {
    struct record rows[RECENT_EVENTS];
    uint32_t first, count;
    uint32_t used; /* where the next record's bytes go */
    char *bytes;   /* RECENT_BYTES */
};
int recent_open(struct recent *r);
void recent_close(struct recent *r);
void recent_add(struct recent *r, const struct record *rec);
/* i = 0: the oldest; valid until the next recent_add(). */
const struct record *recent_at(const struct recent *r, uint32_t i);

#endif
