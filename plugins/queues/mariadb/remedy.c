/* SPDX-License-Identifier: Apache-2.0 */
#include "remedy.h"

#include <errmsg.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <string.h>

#include "blind.h"

#define GRANTS    "; GRANT SELECT, INSERT, UPDATE, DELETE (to migrate also CREATE, ALTER, INDEX, DROP) on the database"
#define NO_WRITES "; the server takes no writes: name the primary, not a replica"
#define UNREACHED "; is the server up? check host, port and socket"
#define SPACE     "; the server's disk is full, it resumes by itself when there is room"

/* A row for each error that means more than "it failed". remedy "": the server's words say it. */
static const struct row {
    unsigned int code;
    int fault;
    int32_t rc;
    const char *remedy;
} ROWS[] = {
    {ER_LOCK_DEADLOCK, FAULT_RETRY, BP_LATER, ""},
    {ER_LOCK_WAIT_TIMEOUT, FAULT_RETRY, BP_LATER, ""},
    {ER_DUP_ENTRY, FAULT_RETRY, BP_LATER, ""},
    {BLIND_ERROR, FAULT_RETRY, BP_LATER, ""},
    {ER_CHECKREAD, FAULT_RETRY, BP_LATER, ""},
    {ER_UNKNOWN_STMT_HANDLER, FAULT_RETRY, BP_LATER, ""},
    {ER_NEED_REPREPARE, FAULT_RETRY, BP_LATER, ""},
    {CR_SERVER_GONE_ERROR, FAULT_LOST, BP_LATER, ""},
    {CR_SERVER_LOST, FAULT_LOST, BP_LATER, ""},
    {ER_SERVER_SHUTDOWN, FAULT_LOST, BP_LATER, ""},
    {ER_CONNECTION_KILLED, FAULT_LOST, BP_LATER, ""},
    {ER_NEW_ABORTING_CONNECTION, FAULT_LOST, BP_LATER, ""},
    {CR_COMMANDS_OUT_OF_SYNC, FAULT_LOST, BP_LATER, ""},
    {CR_MALFORMED_PACKET, FAULT_LOST, BP_LATER, ""},
    {CR_UNKNOWN_ERROR, FAULT_LOST, BP_LATER, ""},
    {ER_STATEMENT_TIMEOUT, FAULT_OTHER, BP_LATER, "; queryTimeoutSeconds ended it"},
    {ER_OPTION_PREVENTS_STATEMENT, FAULT_MOVED, BP_LATER, NO_WRITES},
    {ER_READ_ONLY_MODE, FAULT_MOVED, BP_LATER, NO_WRITES},
    {ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, FAULT_MOVED, BP_LATER, NO_WRITES},
    {ER_RECORD_FILE_FULL, FAULT_OTHER, BP_NOSPACE, SPACE},
    {ER_DISK_FULL, FAULT_OTHER, BP_NOSPACE, SPACE},
    {CR_OUT_OF_MEMORY, FAULT_OTHER, BP_NOMEM, ""},
    {ER_OUTOFMEMORY, FAULT_OTHER, BP_NOMEM, ""},
    {ER_ACCESS_DENIED_ERROR, FAULT_OTHER, BP_DENIED, "; check user and password"},
    {ER_ACCESS_DENIED_NO_PASSWORD_ERROR, FAULT_OTHER, BP_DENIED, "; check user and password"},
    {ER_HOST_NOT_PRIVILEGED, FAULT_OTHER, BP_DENIED, "; CREATE USER for this host, or '%'"},
    {ER_HOST_IS_BLOCKED, FAULT_OTHER, BP_DENIED, ""},
    {ER_DBACCESS_DENIED_ERROR, FAULT_OTHER, BP_DENIED, GRANTS},
    {ER_TABLEACCESS_DENIED_ERROR, FAULT_OTHER, BP_DENIED, GRANTS},
    {ER_COLUMNACCESS_DENIED_ERROR, FAULT_OTHER, BP_DENIED, GRANTS},
    {ER_SPECIFIC_ACCESS_DENIED_ERROR, FAULT_OTHER, BP_DENIED, GRANTS},
    {ER_BAD_DB_ERROR, FAULT_OTHER, BP_NOTFOUND, "; CREATE DATABASE it, or set createDatabase"},
    {ER_UNKNOWN_COLLATION, FAULT_OTHER, BP_INVALID, "; the queue needs a server with utf8mb4_nopad_bin"},
    {ER_UNKNOWN_CHARACTER_SET, FAULT_OTHER, BP_INVALID, "; the queue needs a server with utf8mb4"},
    {ER_CON_COUNT_ERROR, FAULT_LOST, BP_LATER, "; raise max_connections of the server"},
    {ER_USER_LIMIT_REACHED, FAULT_LOST, BP_LATER, "; raise the connections this account may make"},
    {ER_NET_PACKET_TOO_LARGE, FAULT_LOST, BP_LATER, "; raise max_allowed_packet of the server"},
    {CR_NET_PACKET_TOO_LARGE, FAULT_LOST, BP_LATER, "; raise max_allowed_packet of the server"},
    {CR_SSL_CONNECTION_ERROR, FAULT_LOST, BP_LATER, "; check tls, tlsCa and the server's certificate and ssl settings"},
    {CR_CONNECTION_ERROR, FAULT_OTHER, BP_LATER, UNREACHED},
    {CR_CONN_HOST_ERROR, FAULT_OTHER, BP_LATER, UNREACHED},
    {CR_UNKNOWN_HOST, FAULT_LOST, BP_LATER, "; check host"},
};

static const struct row *find(unsigned int code)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++)
        if (ROWS[i].code == code)
            return &ROWS[i];
    return NULL;
}

int remedy_fault(unsigned int code)
{
    const struct row *r = find(code);
    return r ? r->fault : FAULT_OTHER;
}

int32_t remedy_fail(MYSQL *db, const char *doing, const char *where, struct bp_err *err)
{
    unsigned int code = mysql_errno(db);
    const struct row *r = find(code);
    const char *remedy = r ? r->remedy : "";
    char text[250];
    snprintf(text, sizeof text, "cannot %s at %.90s: %.90s (%u)", doing, where, mysql_error(db), code);
    err->rc = r ? r->rc : code >= CR_MIN_ERROR && code <= CR_MAX_ERROR ? BP_LATER : BP_FAIL;
    snprintf(err->text, sizeof err->text, "%.*s%s", (int)(sizeof err->text - 1 - strlen(remedy)), text, remedy);
    return err->rc;
}
