/* SPDX-License-Identifier: Apache-2.0 */
#include "log/moment.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Most of the times asked for are of now: the text of the last second is kept. */
size_t moment_second(int64_t ms, char out[MOMENT_SIZE])
{
    static _Thread_local struct {
        time_t s;
        size_t n; /* 0: none yet */
        char text[MOMENT_SIZE];
    } last;
    time_t s = (time_t)(ms / 1000);
    if (last.n == 0 || last.s != s) {
        struct tm t;
        gmtime_r(&s, &t);
        last.n = strftime(last.text, sizeof last.text, "%Y-%m-%dT%H:%M:%S", &t);
        last.s = s;
    }
    memcpy(out, last.text, last.n + 1);
    return last.n;
}

void moment_text(int64_t ms, char out[MOMENT_SIZE])
{
    size_t n = moment_second(ms, out);
    snprintf(out + n, MOMENT_SIZE - n, ".%03dZ", (int)(ms % 1000));
}
