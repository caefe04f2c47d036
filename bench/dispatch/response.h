/* SPDX-License-Identifier: Apache-2.0 */
/* response.h - one HTTP/1.1 answer as it comes in. */
#ifndef BENCH_RESPONSE_H
#define BENCH_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>

struct response {
    char *bytes;
    size_t n, cap;
    size_t head;   /* length of the head with its empty line; 0: not whole yet */
    size_t length; /* of the body */
    int status, retry_after_s;
    bool chunked, closes;
};

/* Where the next bytes go. */
char *response_room(struct response *r, size_t *room);
/* n bytes were put there. The status once the answer is whole, 0: more to come, -1: it is no HTTP answer. */
int response_feed(struct response *r, size_t n);
/* The body, NUL-terminated, the caller's to free(). */
char *response_take(struct response *r, size_t *n);
/* Ready for the next answer. */
void response_clear(struct response *r);
void response_free(struct response *r);

#endif
