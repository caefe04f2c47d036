/* SPDX-License-Identifier: Apache-2.0 */
/* ensure_error.c - which of our settings it is that AWS does not accept. */
#include "client.h"
#include "err.h"
#include "fleet_ensure.h"

#include <stdio.h>
#include <string.h>

/* What AWS speaks of -> the setting; of a workflow when it begins with a dot. In this order: a message about a subnet
 * may name a zone and a type too. */
static const struct {
    const char *word, *setting;
} settings[] = {
    {"subnet", "plugin.aws.fleet.subnets"},
    {"securitygroup", "plugin.aws.fleet.securityGroups"},
    {"instanceprofile", "plugin.aws.fleet.instanceProfile"},
    {"keypair", "plugin.aws.fleet.keyName"},
    {"keyname", "plugin.aws.fleet.keyName"},
    {"kms", "plugin.aws.fleet.kmsKey"},
    {"imageid", ".amiSsmParameter"},
    {"ssmparameter", ".amiSsmParameter"},
    {"instancetype", ".instanceTypes"},
};

/* Lower case, without spaces, dashes and the like: "Security-Group ID" is "securitygroupid". */
static void squeeze(const char *text, char out[512])
{
    size_t n = 0;
    for (; *text && n < 511; text++) {
        char c = *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text;
        if (c >= 'a' && c <= 'z')
            out[n++] = c;
    }
    out[n] = '\0';
}

int ensure_error_tell(const struct ensuring *e, const char *what, const struct aws_error *said, int rc,
                      struct bp_err *err)
{
    char words[512];
    squeeze(said->message, words);
    for (size_t i = 0; rc == BP_INVALID && i < sizeof settings / sizeof settings[0]; i++) {
        const char *s = settings[i].setting;
        if (strstr(words, settings[i].word))
            return err_set(err, rc, "AWS does not take %.70s: %.100s; correct %s%.40s%s", what, said->message,
                           s[0] == '.' ? "workflows." : "", s[0] == '.' ? e->spec->slug : "", s);
    }
    return rc;
}
