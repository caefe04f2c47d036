/* SPDX-License-Identifier: Apache-2.0 */
#include "xml.h"

#include "err.h"
#include <ctype.h>
#include <errno.h>
#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEPTH_MAX    64
#define ELEMENTS_MAX 500000
#define BYTES_MAX    (64U << 20)

struct xml {
    char *name, *text;
    size_t n_text;
    struct xml *parent, *first, *last, *next;
};

struct builder {
    XML_Parser parser;
    struct xml *root, *at;
    int depth, failed; /* failed: BP_NOMEM or BP_INVALID */
    unsigned elements;
};

void xml_free(struct xml *root)
{
    struct xml *x = root;
    while (x) {
        struct xml *child = x->first;
        if (child) {
            x->first = child->next;
            x = child;
            continue;
        }
        struct xml *parent = x == root ? NULL : x->parent;
        free(x->name);
        free(x->text);
        free(x);
        x = parent;
    }
}

void xml_wipe(struct xml *root)
{
    struct xml *x = root;
    while (x) {
        if (x->text)
            explicit_bzero(x->text, x->n_text);
        struct xml *next = x->first;
        for (struct xml *up = x; !next && up != root; up = up->parent)
            next = up->next;
        x = next;
    }
}

static void fail(struct builder *b, int rc)
{
    if (!b->failed)
        b->failed = rc;
    XML_StopParser(b->parser, XML_FALSE);
}

static void on_start(void *arg, const char *name, const char **attributes)
{
    struct builder *b = arg;
    const char *colon = strrchr(name, ':');
    (void)attributes;
    if (++b->depth > DEPTH_MAX || ++b->elements > ELEMENTS_MAX) {
        fail(b, BP_INVALID);
        return;
    }
    struct xml *x = calloc(1, sizeof *x);
    if (x)
        x->name = strdup(colon && colon[1] ? colon + 1 : name);
    if (!x || !x->name) {
        free(x);
        fail(b, BP_NOMEM);
        return;
    }
    x->parent = b->at;
    if (!b->at)
        b->root = x;
    else if (b->at->last)
        b->at->last->next = x;
    else
        b->at->first = x;
    if (b->at)
        b->at->last = x;
    b->at = x;
}

static void on_end(void *arg, const char *name)
{
    struct builder *b = arg;
    (void)name;
    b->depth--;
    b->at = b->at ? b->at->parent : NULL;
}

/* Texts of leaves come in pieces; those between elements are white space, and kept no more than once grown. */
static void on_text(void *arg, const char *s, int len)
{
    struct builder *b = arg;
    if (!b->at || b->at->first)
        return;
    char *grown = realloc(b->at->text, b->at->n_text + (size_t)len + 1);
    if (!grown) {
        fail(b, BP_NOMEM);
        return;
    }
    memcpy(grown + b->at->n_text, s, (size_t)len);
    b->at->n_text += (size_t)len;
    grown[b->at->n_text] = '\0';
    b->at->text = grown;
}

/* No answer of AWS has one; they are where attacks on parsers begin. */
static void on_doctype(void *arg, const char *name, const char *system, const char *public, int internal)
{
    (void)name, (void)system, (void)public, (void)internal;
    fail(arg, BP_INVALID);
}

struct xml *xml_parse(const char *text, size_t n, struct bp_err *err)
{
    struct builder b = {0};
    while (n && isspace((unsigned char)*text))
        text++, n--;
    if (n > BYTES_MAX) {
        err_set(err, BP_INVALID, "an XML answer of %zu bytes is too large", n);
        return NULL;
    }
    b.parser = XML_ParserCreate(NULL);
    if (!b.parser) {
        err_set(err, BP_NOMEM, "no memory to read an XML answer");
        return NULL;
    }
    XML_SetUserData(b.parser, &b);
    XML_SetElementHandler(b.parser, on_start, on_end);
    XML_SetCharacterDataHandler(b.parser, on_text);
    XML_SetStartDoctypeDeclHandler(b.parser, on_doctype);
    int ok = XML_Parse(b.parser, text, (int)n, XML_TRUE) == XML_STATUS_OK;
    if (!ok || b.failed) {
        err_set(err, b.failed ? b.failed : BP_INVALID, "an answer is no XML that can be read: %s at byte %lld",
                b.failed == BP_NOMEM ? "no memory" : XML_ErrorString(XML_GetErrorCode(b.parser)),
                (long long)XML_GetCurrentByteIndex(b.parser));
        xml_free(b.root);
        b.root = NULL;
    }
    XML_ParserFree(b.parser);
    return b.root;
}

static const struct xml *child(const struct xml *x, const char *name, size_t n)
{
    const struct xml *c = x->first;
    while (c && !(strlen(c->name) == n && memcmp(c->name, name, n) == 0))
        c = c->next;
    return c;
}

const struct xml *xml_at(const struct xml *x, const char *path)
{
    while (x && *path) {
        size_t n = strcspn(path, "/");
        x = child(x, path, n);
        path += n + (path[n] == '/');
    }
    return x;
}

const char *xml_text(const struct xml *x, const char *path)
{
    x = xml_at(x, path);
    return x && x->text && !x->first ? x->text : "";
}

int64_t xml_int(const struct xml *x, const char *path, int64_t otherwise)
{
    const char *text = xml_text(x, path);
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    while (isspace((unsigned char)*end))
        end++;
    return end == text || *end || errno ? otherwise : v;
}

int xml_bool(const struct xml *x, const char *path)
{
    return strcmp(xml_text(x, path), "true") == 0;
}

/* Seconds east of UTC: "Z" or nothing, or +hh:mm. */
static int zone_of(const char *text, int64_t *seconds)
{
    int hours = 0, minutes = 0, n = 0;
    *seconds = 0;
    if (!*text || strcmp(text, "Z") == 0)
        return 1;
    if ((*text != '+' && *text != '-') || sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &n) != 2 || text[1 + n] ||
        hours < 0 || hours > 14 || minutes < 0 || minutes > 59)
        return 0;
    *seconds = (*text == '-' ? -60 : 60) * (hours * 60 + minutes);
    return 1;
}

int64_t xml_time_ms(const struct xml *x, const char *path)
{
    const char *text = xml_text(x, path), *rest;
    struct tm tm = {0};
    double fraction = 0;
    rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!rest)
        return 0;
    if (*rest == '.') {
        char *end;
        fraction = strtod(rest, &end);
        rest = end;
    }
    int64_t zone_s;
    if (!zone_of(rest, &zone_s))
        return 0;
    return ((int64_t)timegm(&tm) - zone_s) * 1000 + (int64_t)(fraction * 1000 + 0.5);
}

const struct xml *xml_first(const struct xml *x, const char *path)
{
    return xml_at(x, path);
}

const struct xml *xml_next(const struct xml *x)
{
    const struct xml *c = x->next;
    while (c && strcmp(c->name, x->name) != 0)
        c = c->next;
    return c;
}

const char *xml_name(const struct xml *x)
{
    return x->name;
}

static int ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n > k && strcmp(text + n - k, end) == 0;
}

const struct xml *xml_result(const struct xml *root)
{
    if (!root)
        return NULL;
    for (const struct xml *c = root->first; c; c = c->next) {
        if (ends_with(c->name, "Result"))
            return c;
    }
    return root;
}
