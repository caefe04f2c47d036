/* SPDX-License-Identifier: Apache-2.0 */
/* The command table: what words and methods lead to, and that its rows are sound. */
#include "cm.h"

#include "admin/admin_priv.h"
#include <ctype.h>
#include <string.h>

static void words_lead_to_the_longest_command(void **state)
{
    static const struct {
        const char *one, *two, *command;
        size_t used;
    } rows[] = {
        {"status", NULL, "status", 1},        {"job", "cancel", "job cancel", 2}, {"job", "7", "job", 1},
        {"plugin", "list", "plugin list", 2}, {"scale", "photo", "scale", 1},     {"log", "level", "log level", 2},
    };
    char *token_add[] = {(char[]){"tenant"}, (char[]){"token"}, (char[]){"add"}, (char[]){"acme"}};
    struct bp_err none = {0};
    size_t three = 0;
    (void)state;
    assert_string_equal(command_find(token_add, 4, &three, &none)->name, "tenant token add");
    assert_int_equal(three, 3);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bp_err err = {0};
        size_t used = 0;
        char *words[] = {(char *)(uintptr_t)rows[i].one, (char *)(uintptr_t)rows[i].two};
        const struct admin_command *c = command_find(words, rows[i].two ? 2 : 1, &used, &err);
        assert_non_null(c);
        assert_string_equal(c->name, rows[i].command);
        assert_int_equal(used, rows[i].used);
    }
}

static void a_wrong_command_is_told_with_the_nearest(void **state)
{
    struct bp_err err = {0};
    size_t used;
    char *words[] = {(char[]){"statsu"}}, *far[] = {(char[]){"xyzzyxyzzyxyzzy"}}, *empty[] = {(char[]){""}};
    char many[2000];
    (void)state;
    assert_null(command_find(words, 1, &used, &err));
    assert_int_equal(err.rc, BP_NOTFOUND);
    assert_non_null(strstr(err.text, "did you mean \"status\""));
    assert_null(command_find(far, 1, &used, &err));
    assert_non_null(strstr(err.text, "see help"));
    assert_null(command_find(empty, 1, &used, &err));
    memset(many, 'a', sizeof many - 1);
    many[sizeof many - 1] = 0;
    assert_null(command_find((char *[]){many, many}, 2, &used, &err));
}

static void a_method_is_a_command_with_dots(void **state)
{
    struct bp_err err = {0};
    (void)state;
    assert_string_equal(command_of_method("plugin.load", &err)->name, "plugin load");
    assert_string_equal(command_of_method("status", &err)->name, "status");
    assert_null(command_of_method("plugin.laod", &err));
    assert_non_null(strstr(err.text, "did you mean \"plugin load\""));
}

static void check_args(const struct admin_command *c)
{
    int optional = 0;
    for (const struct admin_arg *a = c->args; a && a->kind != ARG_END; a++) {
        assert_true(a->name && a->name[0] && a->help && a->help[0]);
        assert_true(a->kind == ARG_FLAG || a->type >= ARG_TEXT);
        if (a->kind == ARG_OPTIONAL)
            optional = 1;
        assert_false(a->kind == ARG_WORD && optional); /* what may be missing comes last */
    }
}

static void every_row_of_the_table_is_sound(void **state)
{
    (void)state;
    assert_in_range(admin_n_commands, 1, 80);
    for (size_t i = 0; i < admin_n_commands; i++) {
        const struct admin_command *c = &admin_commands[i];
        assert_true(c->run && c->help && c->help[0]);
        assert_in_range(c->privilege, ADMIN_READ, ADMIN_WRITE);
        assert_true(c->list != NULL || c->columns == NULL);
        for (const char *p = c->name; *p; p++)
            assert_true(islower((unsigned char)*p) || *p == ' ');
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(admin_commands[k].name, c->name);
        check_args(c);
    }
}

/* What changes something is not for the group that may read. */
static void commands_that_change_something_need_the_right_to_write(void **state)
{
    static const char *const writing[] = {
        "worker",        "worker add",     "tenant add",       "tenant set",          "tenant disable",
        "tenant enable", "tenant webhook", "tenant token add", "tenant token remove", "job cancel",
        "job retry",     "submit",         "upload",           "plugin load",         "plugin reload",
        "plugin retire", "scale hold",     "scale release",    "fleet inject",        "drain",
        "shutdown",      "log level",      "config reload",    "notify test",         "ami set",
        "ami rollout",   "fleet ensure",   "scale limit",      "scale pause",         "scale resume",
        "scale shadow",  "scale adopt",    "scale disown",     "plugin release",      "asset upload"};
    (void)state;
    size_t n = 0;
    for (size_t i = 0; i < admin_n_commands; i++) {
        int found = 0;
        for (size_t k = 0; k < sizeof writing / sizeof writing[0]; k++)
            found |= strcmp(writing[k], admin_commands[i].name) == 0;
        assert_int_equal(admin_commands[i].privilege, found ? ADMIN_WRITE : ADMIN_READ);
        n += (size_t)found;
    }
    assert_int_equal(n, sizeof writing / sizeof writing[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_lead_to_the_longest_command),
        cmocka_unit_test(a_wrong_command_is_told_with_the_nearest),
        cmocka_unit_test(a_method_is_a_command_with_dots),
        cmocka_unit_test(every_row_of_the_table_is_sound),
        cmocka_unit_test(commands_that_change_something_need_the_right_to_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
