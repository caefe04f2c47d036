/* SPDX-License-Identifier: Apache-2.0 */
#include "logging.h"

#include "log/log.h"
#include <string.h>

static enum log_form form_of(const struct config *c)
{
    const char *form = config_str(c, CONFIG_LOG_FORM);
    return strcmp(form, "json") == 0 ? LOG_FORM_JSON : strcmp(form, "text") == 0 ? LOG_FORM_TEXT : LOG_FORM_AUTO;
}

int logging_open(const struct config *c, struct bp_err *err)
{
    int rc = log_check_levels(config_str(c, CONFIG_LOG_LEVELS), err);
    if (rc == 0)
        rc = log_open(config_str(c, CONFIG_LOG_PATH), form_of(c), err);
    return rc < 0 ? rc : log_set_levels(config_str(c, CONFIG_LOG_LEVELS), err);
}
