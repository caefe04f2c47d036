/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_worker.c - stands in for bpd --role worker. It writes its command line to argv.txt and its environment to
 * env.txt in its working directory, its pid to up, and waits. `--set behave=...` makes it misbehave: stubborn (ignores
 * SIGTERM), short (ends at once with status 3), parent (starts a child that ignores SIGTERM and writes its pid to
 * child), polite (ends by itself when notice.json appears).
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void write_words(const char *name, char *const *words)
{
    FILE *f = fopen(name, "we");
    for (; f && *words; words++)
        fprintf(f, "%s\n", *words);
    if (f)
        fclose(f);
}

static void write_number(const char *name, long number)
{
    char temp[32];
    snprintf(temp, sizeof temp, "%s.new", name);
    FILE *f = fopen(temp, "we");
    if (!f)
        return;
    fprintf(f, "%ld\n", number);
    fclose(f);
    rename(temp, name);
}

static int is_told(int argc, char **argv, const char *word)
{
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], "behave=", 7) == 0 && strcmp(argv[i] + 7, word) == 0)
            return 1;
    return 0;
}

static void sleep_for_ever(int polite)
{
    alarm(300); /* no test leaves it behind for long */
    for (;;) {
        usleep(polite ? 5000 : 200000);
        if (polite && access("notice.json", F_OK) == 0)
            return;
    }
}

int main(int argc, char **argv)
{
    if (is_told(argc, argv, "stubborn"))
        signal(SIGTERM, SIG_IGN);
    write_words("argv.txt", argv);
    write_words("env.txt", environ);
    printf("a word on standard output\n");
    fflush(stdout);
    if (is_told(argc, argv, "short"))
        return 3;
    if (is_told(argc, argv, "parent") && fork() == 0) {
        signal(SIGTERM, SIG_IGN);
        setpgid(0, 0);
        write_number("child", getpid());
        sleep_for_ever(0);
    }
    write_number("up", getpid());
    sleep_for_ever(is_told(argc, argv, "polite"));
    return 0;
}
