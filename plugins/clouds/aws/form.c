/* SPDX-License-Identifier: Apache-2.0 */
#include "form.h"

#include "sign.h"
#include <bp/plugin.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FORM_MAX (4 << 20)

struct form {
    char *text;
    size_t n, room;
    int failed;
};

struct form *form_new(void)
{
    struct form *f = calloc(1, sizeof *f);
    if (f)
        f->text = calloc(1, f->room = 1024);
    if (f && !f->text) {
        free(f);
        return NULL;
    }
    return f;
}

void form_wipe(struct form *f)
{
    explicit_bzero(f->text, f->room);
    f->n = 0;
}

void form_free(struct form *f)
{
    if (f)
        free(f->text);
    free(f);
}

static int grow(struct form *f, size_t more)
{
    if (f->n + more < f->room)
        return 1;
    size_t room = f->room;
    while (room <= f->n + more)
        room *= 2;
    char *text = room <= FORM_MAX ? realloc(f->text, room) : NULL;
    if (!text) {
        f->failed = 1;
        return 0;
    }
    f->text = text;
    f->room = room;
    return 1;
}

static void add(struct form *f, const char *name, const char *value)
{
    size_t n = strlen(name), k = strlen(value);
    if (f->failed || !grow(f, 3 * (n + k) + 3))
        return;
    if (f->n)
        f->text[f->n++] = '&';
    f->n += (size_t)sign_encode(name, n, 0, f->text + f->n, f->room - f->n);
    f->text[f->n++] = '=';
    f->n += (size_t)sign_encode(value, k, 0, f->text + f->n, f->room - f->n);
}

FORM_PRINTF(3, 0)
static void add_named(struct form *f, const char *value, const char *name, va_list ap)
{
    char whole[512];
    int n = vsnprintf(whole, sizeof whole, name, ap);
    if (n < 0 || (size_t)n >= sizeof whole)
        f->failed = 1;
    else
        add(f, whole, value);
}

#define ADD(f, value, name)                                                                                            \
    do {                                                                                                               \
        va_list ap;                                                                                                    \
        va_start(ap, name);                                                                                            \
        add_named(f, value, name, ap);                                                                                 \
        va_end(ap);                                                                                                    \
    } while (0)

void form_put(struct form *f, const char *value, const char *name, ...)
{
    if (value)
        ADD(f, value, name);
}

void form_put_int(struct form *f, int64_t value, const char *name, ...)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    ADD(f, text, name);
}

void form_put_num(struct form *f, double value, const char *name, ...)
{
    char text[40];
    snprintf(text, sizeof text, "%.15g", isfinite(value) ? value : 0);
    ADD(f, text, name);
}

void form_put_bool(struct form *f, int value, const char *name, ...)
{
    ADD(f, value ? "true" : "false", name);
}

void form_put_time(struct form *f, int64_t ms, const char *name, ...)
{
    char text[40];
    time_t s = (time_t)(ms / 1000);
    struct tm tm = {0};
    gmtime_r(&s, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    ADD(f, text, name);
}

int form_failed(const struct form *f)
{
    return f->failed;
}

const char *form_text(const struct form *f, size_t *n)
{
    if (n)
        *n = f->n;
    return f->text;
}
