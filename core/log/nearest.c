/* SPDX-License-Identifier: Apache-2.0 */
#include "log/json.h"

#include <ctype.h>
#include <string.h>

#define NAME_MAX_BYTES 63

static size_t least(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

static int same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Edits (insert, delete, replace, swap of neighbours) that make b of a, letters' case ignored. Three rows are enough.
 */
static size_t distance(const char *a, size_t na, const char *b, size_t nb)
{
    size_t rows[3][NAME_MAX_BYTES + 1];
    size_t *older = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= nb; j++)
        above[j] = j;
    for (size_t i = 1; i <= na; i++) {
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            row[j] = least(above[j] + 1, row[j - 1] + 1, above[j - 1] + !same(a[i - 1], b[j - 1]));
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]) && older[j - 2] + 1 < row[j])
                row[j] = older[j - 2] + 1;
        }
        size_t *free_row = older;
        older = above;
        above = row;
        row = free_row;
    }
    return above[nb];
}

const char *nearest_name(const char *word, const char *const *names, size_t n)
{
    const char *best = NULL;
    size_t length = strlen(word);
    size_t limit = length <= 2 ? 1 : length <= 5 ? 2 : length / 3 + 1; /* beyond it a suggestion would puzzle */
    if (length == 0 || length > NAME_MAX_BYTES)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t bytes = strlen(names[i]);
        if (bytes > NAME_MAX_BYTES)
            continue;
        size_t d = distance(word, length, names[i], bytes);
        if (d <= limit && d < bytes) {
            best = names[i];
            if (d == 0)
                break;
            limit = d - 1;
        }
    }
    return best;
}
