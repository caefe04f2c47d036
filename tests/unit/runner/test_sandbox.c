/* SPDX-License-Identifier: Apache-2.0 */
/* What the code of a plugin may reach from its runner, and what not, as its rules say. */
#include "breaking.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A listening socket on the machine itself; its port. */
static int server(int family, int *port)
{
    struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr *a = family == AF_INET ? (struct sockaddr *)&a4 : (struct sockaddr *)&a6;
    socklen_t n = family == AF_INET ? sizeof(a4) : sizeof(a6);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, a, n) < 0 || listen(fd, 8) < 0 || getsockname(fd, a, &n) < 0)
        return -1;
    *port = ntohs(family == AF_INET ? a4.sin_port : a6.sin6_port);
    return fd;
}

static int connect_from(const char *plugin, const char *mode, const char *to, int port)
{
    char params[4300];
    int n = snprintf(params, sizeof(params), "{\"mode\":\"%s\",\"to\":\"%s\",\"port\":%d}", mode, to, port);
    assert_in_range(n, 1, sizeof(params) - 1);
    return breaking_try_once(plugin, params);
}

static void without_a_word_there_is_no_network(void **state)
{
    (void)state;
    int port = 0, door = server(AF_INET, &port);
    assert_true(door >= 0);
    assert_int_equal(connect_from("test-break", "connect", "127.0.0.1", port), EACCES);
    assert_int_equal(connect_from("test-break", "connect", "192.0.2.1", 80), EACCES);
    assert_int_equal(connect_from("test-break", "connect", "::1", port), EACCES);
    assert_int_equal(connect_from("test-break", "udp", "", 0), EACCES);
    assert_int_equal(connect_from("test-break", "unix_own", "", 0), EACCES);
    close(door);
}

static void loopback_is_this_machine_and_nothing_else(void **state)
{
    (void)state;
    NEED(kernel_asks(), "this kernel cannot ask about calls, so an address cannot be looked at");
    int port = 0, port6 = 0, door = server(AF_INET, &port), door6 = server(AF_INET6, &port6);
    char byte;
    assert_int_equal(connect_from("test-open", "connect", "127.0.0.1", port), 0);
    int guest = accept(door, NULL, NULL);
    assert_int_equal(recv(guest, &byte, 1, 0), 1); /* it is the same connection, with what was written */
    close(guest);
    assert_int_equal(connect_from("test-open", "connect", "127.0.0.1", 1), ECONNREFUSED);
    if (door6 >= 0)
        assert_int_equal(connect_from("test-open", "connect", "::1", port6), 0);
    assert_int_equal(connect_from("test-open", "connect", "::ffff:127.0.0.1", port), 0);
    assert_int_equal(connect_from("test-open", "connect", "192.0.2.1", 80), EACCES);
    assert_int_equal(connect_from("test-open", "connect", "0.0.0.0", port), EACCES);
    assert_int_equal(connect_from("test-open", "connect", "2001:db8::1", 80), EACCES);
    assert_int_equal(connect_from("test-open", "connect", "::ffff:192.0.2.1", 80), EACCES);
    assert_int_equal(connect_from("test-open", "fast_open", "192.0.2.1", 80), EOPNOTSUPP);
    assert_int_equal(connect_from("test-open", "udp", "", 0), EACCES);
    assert_int_equal(connect_from("test-open", "listen", "", 0), EACCES);
    close(door);
    if (door6 >= 0)
        close(door6);
}

static void a_refused_connection_is_told_with_the_jobs_error(void **state)
{
    (void)state;
    NEED(kernel_asks(), "this kernel cannot ask about calls");
    struct peer p;
    breaking_start(&p, "test-open", NULL);
    breaking_job(&p, "{\"mode\":\"connect\",\"to\":\"192.0.2.7\",\"port\":443,\"fail\":1}");
    struct json_object *o = peer_hear(&p, "result");
    assert_string_equal(json_str(o, "text", ""),
                        "it did not work (its sandbox refused to connect to 192.0.2.7 port 443)");
    json_object_put(o);
    breaking_job(&p, "{\"mode\":\"exec\",\"to\":\"exit 3\",\"fail\":1}");
    o = peer_hear(&p, "result");
    assert_string_equal(json_str(o, "text", ""), "it did not work"); /* not again with the next one's */
    json_object_put(o);
    peer_finish(&p);
}

static void programs_have_local_sockets_of_their_own_only(void **state)
{
    (void)state;
    NEED(kernel_asks(), "this kernel cannot ask about calls");
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "daemon.sock"};
    int door = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(door, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(door, 1), 0);
    assert_int_equal(connect_from("test-open", "unix_own", "", 0), 0);
    assert_int_equal(connect_from("test-open", "unix_connect", "daemon.sock", 0), EACCES);
    assert_int_equal(symlink("../daemon.sock", "job/link.sock"), 0);
    assert_int_equal(connect_from("test-open", "unix_connect", "job/link.sock", 0), EACCES);
    close(door);
}

static int file_from(const char *plugin, const char *mode, const char *path)
{
    return connect_from(plugin, mode, path, 0);
}

static void files_are_the_jobs_own_the_systems_and_those_that_were_named(void **state)
{
    (void)state;
    NEED(kernel_landlock() > 0, "this kernel has no Landlock");
    fclose(fopen("secret", "w"));
    char here[3000], path[4000];
    assert_non_null(getcwd(here, sizeof(here)));
    snprintf(path, sizeof(path), "%s/secret", here);
    assert_int_equal(file_from("test-break", "read", path), EACCES);
    assert_int_equal(file_from("test-break", "write", path), EACCES);
    snprintf(path, sizeof(path), "%s/job/mine", here);
    assert_int_equal(file_from("test-break", "write", path), 0);
    assert_int_equal(file_from("test-break", "read", path), 0);
    assert_int_equal(file_from("test-break", "read", "/usr/bin/env"), 0);
    assert_int_equal(file_from("test-break", "write", "/usr/bin/env"), EACCES);
    assert_int_equal(file_from("test-break", "read", "/etc/shadow"), EACCES);
    snprintf(path, sizeof(path), "/proc/%d/environ", (int)getpid());
    assert_int_equal(file_from("test-break", "read", path), EACCES);
    assert_int_equal(symlink("../secret", "job/link"), 0);
    assert_int_equal(file_from("test-break", "read", "job/link"), EACCES);
    snprintf(path, sizeof(path), "%s/given", here);
    mkdir("given", 0700);
    fclose(fopen("given/model", "w"));
    const char *more[] = {"--read", path, NULL};
    struct peer p;
    breaking_start(&p, "test-break", more);
    assert_int_equal(breaking_try(&p, "{\"mode\":\"read\",\"to\":\"given/model\"}"), 0);
    assert_int_equal(breaking_try(&p, "{\"mode\":\"write\",\"to\":\"given/model\"}"), EACCES);
    peer_finish(&p);
}

static void programs_are_started_only_where_they_may_be(void **state)
{
    (void)state;
    assert_int_equal(connect_from("test-break", "exec", "exit 7", 0), EPERM);
    assert_int_equal(connect_from("test-open", "exec", "exit 7", 0), 7);
    assert_int_equal(connect_from("test-open", "exec", "cp job/out job/copy && test -r job/copy", 0), 0);
    if (kernel_landlock() > 0)
        assert_int_equal(connect_from("test-open", "exec", "cat /etc/shadow 2>/dev/null && exit 3 || exit 0", 0), 0);
}

static void no_process_outside_gets_a_signal(void **state)
{
    (void)state;
    assert_int_equal(connect_from("test-break", "signal", "", (int)getpid()), EPERM);
    assert_int_equal(connect_from("test-break", "kill_all", "", 0), EPERM);
    NEED(kernel_landlock() >= 6, "Landlock of this kernel knows no scopes");
    assert_int_equal(connect_from("test-open", "signal", "", (int)getpid()), EPERM);
    assert_int_equal(connect_from("test-open", "signal", "", (int)getppid()), EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_word_there_is_no_network),
        cmocka_unit_test(loopback_is_this_machine_and_nothing_else),
        cmocka_unit_test(a_refused_connection_is_told_with_the_jobs_error),
        cmocka_unit_test(programs_have_local_sockets_of_their_own_only),
        cmocka_unit_test(files_are_the_jobs_own_the_systems_and_those_that_were_named),
        cmocka_unit_test(programs_are_started_only_where_they_may_be),
        cmocka_unit_test(no_process_outside_gets_a_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
