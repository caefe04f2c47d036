/* SPDX-License-Identifier: Apache-2.0 */
#include "script.h"

#include <bp/workflow.h>
#include <string.h>

int script_has_param(const char *text)
{
    return strstr(text, "{params.") != NULL;
}

/* Programs that run a text, by the first letters of their file name (python3.11 is a python), with the letters of the
 * options before that text; '*': it is their first argument that is no option, too. */
static const struct interpreter {
    const char *name, *letters;
} interpreters[] = {
    {"sh", "c"},   {"bash", "c"},  {"dash", "c"},   {"zsh", "c"},     {"ksh", "c"},    {"ash", "c"},   {"fish", "c"},
    {"csh", "c"},  {"tcsh", "c"},  {"busybox", ""}, {"python", "c"},  {"pypy", "c"},   {"perl", "eE"}, {"ruby", "e"},
    {"lua", "e"},  {"node", "ep"}, {"php", "rBRE"}, {"Rscript", "e"}, {"julia", "eE"}, {"awk", "*"},   {"gawk", "*e"},
    {"mawk", "*"}, {"sed", "*e"},  {"jq", "*"},     {"su", "c"},      {"script", "c"},
};

static const struct interpreter *interpreter_find(const char *word)
{
    const char *slash = strrchr(word, '/'), *name = slash ? slash + 1 : word;
    for (size_t i = 0; i < sizeof interpreters / sizeof interpreters[0]; i++) {
        size_t n = strlen(interpreters[i].name);
        if (strncmp(name, interpreters[i].name, n) == 0 && strspn(name + n, "0123456789.") == strlen(name + n))
            return &interpreters[i];
    }
    return NULL;
}

/* -c, -lc, -pe, --eval: a program's text follows, or stands in the word itself behind a '='. */
static int announces(const struct interpreter *by, const char *word)
{
    static const char *const longs[] = {"--eval", "--command", "--expression", "--execute", "--run", "--print"};
    for (size_t i = 0; i < sizeof longs / sizeof longs[0]; i++) {
        size_t n = strlen(longs[i]);
        if (strncmp(word, longs[i], n) == 0 && (word[n] == '\0' || word[n] == '='))
            return 1;
    }
    return word[0] == '-' && word[1] != '-' && strpbrk(word + 1, by->letters) != NULL;
}

struct seen {
    const struct interpreter *by; /* whose options are read; NULL: nobody's */
    int program_next, wrong;
};

/* An interpreter's options end at its script's name, or at the program's text: what follows is for the script. */
static void look(struct seen *s, const char *word)
{
    if (!s->by) {
        s->by = interpreter_find(word);
        return;
    }
    int option = word[0] == '-' && !s->program_next;
    int program = s->program_next || (option ? announces(s->by, word) : s->by->letters[0] == '*');
    s->wrong |= program && script_has_param(word);
    s->program_next = option && program;
    if (!option)
        s->by = interpreter_find(word);
}

int32_t script_check(struct json_object *command, struct bp_err *err)
{
    struct seen s = {0};
    for (size_t i = 0; i < json_object_array_length(command); i++) {
        struct json_object *one = json_object_array_get_idx(command, i);
        size_t n = json_object_is_type(one, json_type_array) ? json_object_array_length(one) : 0;
        for (size_t k = 0; k < n; k++)
            look(&s, json_object_get_string(json_object_array_get_idx(one, k)));
        if (n == 0)
            look(&s, json_object_get_string(one));
        if (s.wrong)
            return bp_error(
                err, BP_INVALID,
                "settings.command[%zu] puts a param into a program's text, where it could be more than data: "
                "use the variable BP_PARAM_NAME there, or pass it as an argument of its own",
                i);
    }
    return BP_OK;
}
