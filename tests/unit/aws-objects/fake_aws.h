/* SPDX-License-Identifier: Apache-2.0 */
/* fake_aws.h - a plugin of its parts under test: a host whose log is kept, a clock that is set, settings from JSON. */
#ifndef FAKE_AWS_H
#define FAKE_AWS_H

#include "aws.h"
#include "cm.h"

/* A plugin with these settings (JSON text) and its state in ./state; its parts are opened by the test. */
struct aws *fake_aws(const char *settings);
void fake_aws_free(struct aws *a);
extern int64_t fake_now_ms; /* what the host's clock says */
const char *fake_log(void); /* all lines since fake_aws() */

#endif
