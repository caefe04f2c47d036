/* SPDX-License-Identifier: Apache-2.0 */
/* log_text.h - makes the text of one log line. Whatever comes in, the line has no control character and is UTF-8. */
#ifndef LOG_LOG_TEXT_H
#define LOG_LOG_TEXT_H

#include "log/log.h"

#define LOG_LINE_BYTES 8192 /* with the newline; longer text is cut and ends in "..." */

struct log_record {
    enum log_sub sub;
    int level;
    int64_t at_ms;
    const char *ident, *text;
};

/* Writes one line with its newline into line[LOG_LINE_BYTES]; returns its bytes. */
size_t log_line_text(const struct log_record *r, char *line);
size_t log_line_json(const struct log_record *r, char *line);

#endif
