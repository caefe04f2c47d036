/* SPDX-License-Identifier: Apache-2.0 */
#include "verdict.h"

#include <bp/workflow.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

int32_t verdict_code(enum meaning m)
{
    return m == MEANS_BAD_INPUT ? BP_BADINPUT : m == MEANS_TERMINAL ? BP_INVALID : BP_FAIL;
}

static const char *remedy_of(int why)
{
    switch (why) {
    case ENOEXEC:
        return "; a script begins with a line #!/path/of/its/interpreter";
    case ENOENT:
        return "; does its interpreter (the line #!) exist?";
    case EACCES:
    case EPERM:
        return "; is it executable, and does the workflow's \"sandbox\" allow it (exec, read)?";
    case E2BIG:
        return "; let the command read the params from {paramsFile}";
    default:
        return "";
    }
}

static int32_t say(int32_t rc, const char *how, const struct lines *l, struct bp_err *err)
{
    char tail[200];
    lines_tail(l, tail, sizeof tail);
    if (l->error[0])
        return bp_error(err, rc, "%s", l->error);
    return bp_error(err, rc, "%s%s%s", how, *tail ? ": " : "", tail);
}

int32_t verdict_of(const struct child_report *end, const struct settings *s, const struct lines *l, const char *program,
                   struct bp_err *err)
{
    char how[80];
    switch (end->end) {
    case CHILD_EXITED:
        if (end->value == 0)
            return BP_OK;
        snprintf(how, sizeof how, "the command ended with exit code %d", end->value);
        return say(verdict_code(s->codes[end->value & 0xff]), how, l, err);
    case CHILD_SIGNALLED:
        snprintf(how, sizeof how, "the command was ended by signal %d (%.40s)", end->value, strsignal(end->value));
        return say(BP_FAIL, how, l, err);
    case CHILD_NOT_STARTED:
        return bp_error(err, end->value == E2BIG ? BP_BADINPUT : BP_FAIL, "cannot run %.100s: %s%s", program,
                        strerror(end->value), remedy_of(end->value));
    case CHILD_LOST:
        break;
    }
    return bp_error(err, BP_FAIL, "the process that held the command was ended from outside");
}
