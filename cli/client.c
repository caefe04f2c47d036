/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include "log/err.h"
#include "log/json.h"
#include "log/utf8.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct client {
    FILE *in;
    int fd;
    int64_t id;
};

/* The socket to talk to: as told, or the first that is there. */
static void find_socket(const char *told, char *out, size_t n)
{
    const char *env = getenv("BPCTL_SOCKET") ? getenv("BPCTL_SOCKET") : getenv("BPD_ADMIN_SOCKET");
    const char *state = getenv("BPD_STATE_DIR");
    const char *home = getenv("HOME");
    if (told || env) {
        snprintf(out, n, "%s", told ? told : env);
    } else if (state) {
        snprintf(out, n, "%s/bpd.sock", state);
    } else {
        snprintf(out, n, "%s/.local/state/bpd/bpd.sock", home ? home : "");
        if (access(out, F_OK) < 0)
            snprintf(out, n, "/var/lib/bpd/bpd.sock");
    }
}

struct client *client_open(const char *path, struct bp_err *err)
{
    char at[4096];
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    find_socket(path, at, sizeof at);
    if (strlen(at) >= sizeof to.sun_path) {
        err_set(err, BP_INVALID, "the socket's path is longer than %zu bytes: %s", sizeof to.sun_path - 1, at);
        return NULL;
    }
    memcpy(to.sun_path, at, strlen(at));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        err_set(err, BP_IO, "cannot reach bpd at %s: %s; is it running? Give its socket with --socket or BPCTL_SOCKET",
                at, strerror(errno));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    struct client *c = calloc(1, sizeof *c);
    FILE *in = c ? fdopen(fd, "r") : NULL;
    if (!in) {
        close(fd);
        free(c);
        err_set(err, BP_NOMEM, "no memory");
        return NULL;
    }
    c->in = in;
    c->fd = fd;
    return c;
}

void client_close(struct client *c)
{
    if (!c)
        return;
    fclose(c->in);
    free(c);
}

static int write_all(int fd, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t done = send(fd, text, n, MSG_NOSIGNAL);
        if (done < 0 && errno != EINTR)
            return -1;
        if (done > 0) {
            text += done;
            n -= (size_t)done;
        }
    }
    return 0;
}

struct json_object *client_next(struct client *c)
{
    char *line = NULL;
    size_t room = 0;
    struct json_object *o = NULL;
    if (getline(&line, &room, c->in) > 0)
        o = json_tokener_parse(line);
    free(line);
    return o;
}

static struct json_object *take_answer(struct json_object *answer, struct json_object **fields, struct bp_err *err)
{
    struct json_object *e = json_member(answer, "error");
    struct json_object *result = json_member(answer, "result");
    if (e) {
        err_set(err, (int)json_int(e, "code", BP_FAIL), "%s",
                json_str(e, "message", "the daemon refused without a reason"));
        utf8_make_harmless(err->text);
        if (fields && json_member(e, "data"))
            *fields = json_object_get(json_member(e, "data"));
        return NULL;
    }
    return result ? json_object_get(result) : json_object_new_object();
}

void client_print_fields(struct json_object *fields, FILE *out)
{
    if (!fields || !json_object_is_type(fields, json_type_object))
        return;
    json_object_object_foreach(fields, field, list)
    {
        for (size_t i = 0; json_object_is_type(list, json_type_array) && i < json_object_array_length(list); i++) {
            char line[2048];
            snprintf(line, sizeof line, "  %s: %s", field, json_object_get_string(json_object_array_get_idx(list, i)));
            utf8_make_harmless(line);
            fprintf(out, "%s\n", line);
        }
    }
}

struct json_object *client_call(struct client *c, const char *method, struct json_object *params,
                                struct json_object **fields, struct bp_err *err)
{
    struct json_object *req = json_object_new_object();
    json_put_str(req, "jsonrpc", "2.0");
    json_put_int(req, "id", ++c->id);
    json_put_str(req, "method", method);
    json_object_object_add(req, "params", params);
    const char *text = json_text(req);
    int bad = write_all(c->fd, text, strlen(text)) < 0 || write_all(c->fd, "\n", 1) < 0;
    json_object_put(req);
    struct json_object *answer = bad ? NULL : client_next(c);
    if (!answer) {
        err_set(err, BP_IO, "bpd closed the connection without an answer; see its log (bpctl log)");
        return NULL;
    }
    struct json_object *result = take_answer(answer, fields, err);
    json_object_put(answer);
    return result;
}
