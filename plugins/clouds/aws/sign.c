/* SPDX-License-Identifier: Apache-2.0 */
#include "sign.h"

#include "err.h"
#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define ALGORITHM   "AWS4-HMAC-SHA256"
#define PAIRS_MAX   96
#define HEADERS_MAX 48
#define CANON_MAX   24576
#define KEYS        16

/* ---- text that is built up, and knows when it did not fit ---- */

struct out {
    char *at;
    size_t n, size;
    int full;
};

static void put_n(struct out *o, const char *s, size_t n)
{
    if (o->full || o->n + n >= o->size) {
        o->full = 1;
        return;
    }
    memcpy(o->at + o->n, s, n);
    o->n += n;
    o->at[o->n] = '\0';
}

static void put(struct out *o, const char *s)
{
    put_n(o, s, strlen(s));
}

static int is_plain(unsigned char c)
{
    return isalnum(c) || c == '-' || c == '_' || c == '.' || c == '~';
}

static void put_encoded(struct out *o, const char *s, size_t n, int keep_slash)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        char hex[3] = {'%', digits[c >> 4], digits[c & 15]};
        if ((c < 0x80 && is_plain(c)) || (keep_slash && c == '/'))
            put_n(o, (const char *)&s[i], 1);
        else
            put_n(o, hex, 3);
    }
}

int sign_encode(const char *text, size_t n, int keep_slash, char *out, size_t size)
{
    struct out o = {out, 0, size, size == 0};
    if (size)
        *out = '\0';
    put_encoded(&o, text, n, keep_slash);
    return o.full ? BP_NOSPACE : (int)o.n;
}

static void hex_of(const unsigned char *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
}

void sign_sha256_hex(const void *data, size_t n, char out[65])
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    SHA256(data, n, hash);
    hex_of(hash, sizeof hash, out);
}

/* ---- the canonical request ---- */

/* Dot and empty segments go; a slash at the end stays. */
static void put_normalized(struct out *o, const char *path)
{
    char kept[4096];
    size_t n = 0, len = strlen(path);
    for (const char *s = path; *s;) {
        size_t k = strcspn(s, "/");
        if (k == 2 && s[0] == '.' && s[1] == '.') {
            while (n && kept[--n] != '/')
                ;
        } else if (k && !(k == 1 && s[0] == '.')) {
            if (n + k + 2 > sizeof kept) {
                o->full = 1;
                return;
            }
            kept[n++] = '/';
            memcpy(kept + n, s, k);
            n += k;
        }
        s += k + (s[k] == '/');
    }
    int ends = len && (path[len - 1] == '/' || (len >= 2 && strcmp(path + len - 2, "/.") == 0) ||
                       (len >= 3 && strcmp(path + len - 3, "/..") == 0));
    if (n == 0 || ends)
        kept[n++] = '/';
    put_encoded(o, kept, n, 1);
}

static void put_path(struct out *o, const struct sign_request *q)
{
    const char *path = q->path && q->path[0] ? q->path : "/";
    if (q->s3)
        put(o, path);
    else if (q->no_normalize)
        put_encoded(o, path, strlen(path), 1);
    else
        put_normalized(o, path);
}

struct pair {
    const char *name, *value; /* encoded, in the scratch text */
};

static int by_pair(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    int c = strcmp(x->name, y->name);
    return c ? c : strcmp(x->value, y->value);
}

static int hex_digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? (c | 32) - 'a' + 10 : -1;
}

/* The n bytes of s decoded and encoded again, with a NUL behind; where it begins. */
static const char *recode(struct out *scratch, const char *s, size_t n)
{
    const char *begin = scratch->at + scratch->n;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        int high = c == '%' && i + 2 < n ? hex_digit(s[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(s[i + 2]) : -1;
        if (low >= 0) {
            c = (char)(high * 16 + low);
            i += 2;
        }
        put_encoded(scratch, &c, 1, 0);
    }
    if (scratch->n + 1 < scratch->size)
        scratch->at[scratch->n++] = '\0';
    else
        scratch->full = 1;
    return begin;
}

static void split_query(const char *query, struct pair *pairs, size_t *n, struct out *scratch)
{
    for (const char *s = query ? query : ""; *s && *n < PAIRS_MAX;) {
        size_t k = strcspn(s, "&");
        const char *eq = memchr(s, '=', k);
        if (k) {
            pairs[*n].name = recode(scratch, s, eq ? (size_t)(eq - s) : k);
            pairs[*n].value = recode(scratch, eq ? eq + 1 : "", eq ? k - (size_t)(eq - s) - 1 : 0);
            (*n)++;
        }
        s += k + (s[k] == '&');
    }
    if (*n == PAIRS_MAX)
        scratch->full = 1;
}

static void put_pairs(struct out *o, struct pair *pairs, size_t n)
{
    qsort(pairs, n, sizeof *pairs, by_pair);
    for (size_t i = 0; i < n; i++) {
        put(o, i ? "&" : "");
        put(o, pairs[i].name);
        put(o, "=");
        put(o, pairs[i].value);
    }
}

/* ---- headers ---- */

struct headers {
    const struct sign_header *at[HEADERS_MAX];
    size_t n;
};

static int is_unsigned(const char *name)
{
    static const char *const names[] = {"connection", "expect", "user-agent", "x-amzn-trace-id", "transfer-encoding",
                                        "upgrade",    "te",     "trailer",    "authorization"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(names[i], name) == 0)
            return 1;
    return strncasecmp(name, "proxy-", 6) == 0;
}

/* By name; those of one name stay in their order. 0, or BP_NOSPACE: they are too many. */
static int sort_headers(const struct sign_header *extra, size_t n_extra, const struct sign_request *q,
                        struct headers *h)
{
    h->n = 0;
    if (q->n_headers + n_extra > HEADERS_MAX)
        return BP_NOSPACE;
    for (size_t i = 0; i < q->n_headers + n_extra; i++) {
        const struct sign_header *one = i < q->n_headers ? &q->headers[i] : &extra[i - q->n_headers];
        size_t at = h->n;
        if (is_unsigned(one->name))
            continue;
        while (at > 0 && strcasecmp(h->at[at - 1]->name, one->name) > 0) {
            h->at[at] = h->at[at - 1];
            at--;
        }
        h->at[at] = one;
        h->n++;
    }
    return 0;
}

static void put_lower(struct out *o, const char *name)
{
    for (; *name; name++) {
        char c = (char)tolower((unsigned char)*name);
        put_n(o, &c, 1);
    }
}

/* Trimmed, inner runs of blanks as one. */
static void put_value(struct out *o, const char *v)
{
    while (isspace((unsigned char)*v))
        v++;
    for (; *v; v++) {
        if (!isspace((unsigned char)*v)) {
            put_n(o, v, 1);
            continue;
        }
        while (isspace((unsigned char)v[1]))
            v++;
        if (v[1])
            put(o, " ");
    }
}

static int same_name(const struct headers *h, size_t i)
{
    return strcasecmp(h->at[i]->name, i ? h->at[i - 1]->name : "") == 0;
}

static void put_headers(struct out *o, const struct headers *h)
{
    for (size_t i = 0; i < h->n; i++) {
        if (same_name(h, i)) {
            put(o, ",");
        } else {
            put(o, i ? "\n" : "");
            put_lower(o, h->at[i]->name);
            put(o, ":");
        }
        put_value(o, h->at[i]->value);
    }
    put(o, "\n");
}

static void put_names(struct out *o, const struct headers *h, const char *between)
{
    for (size_t i = 0; i < h->n; i++) {
        if (same_name(h, i))
            continue;
        put(o, i ? between : "");
        put_lower(o, h->at[i]->name);
    }
}

/* ---- one request's signature, in its steps ---- */

struct work {
    const struct sign_request *q;
    int presign;
    char date[17], scope[160], credential[320], expires[16], names[1024];
    struct sign_header extra[3];
    size_t n_extra;
    struct headers headers;
    char scratch[16384];
    struct pair pairs[PAIRS_MAX + 8];
    size_t n_pairs;
    char canonical[CANON_MAX];
    size_t n_canonical;
    struct out scratch_out;
};

static void add_pair(struct work *w, const char *name, const char *value)
{
    w->pairs[w->n_pairs].name = recode(&w->scratch_out, name, strlen(name));
    w->pairs[w->n_pairs].value = w->scratch_out.at + w->scratch_out.n;
    put_encoded(&w->scratch_out, value, strlen(value), 0);
    if (w->scratch_out.n + 1 < w->scratch_out.size)
        w->scratch_out.at[w->scratch_out.n++] = '\0';
    else
        w->scratch_out.full = 1;
    w->n_pairs++;
}

static int has_token(const struct sign_request *q)
{
    return q->token && q->token[0];
}

static int set_times(struct work *w, struct bp_err *err)
{
    time_t s = (time_t)(w->q->now_ms / 1000);
    struct tm tm;
    if (!gmtime_r(&s, &tm) || strftime(w->date, sizeof w->date, "%Y%m%dT%H%M%SZ", &tm) != 16)
        return err_set(err, BP_INVALID, "the time to sign at is not one");
    int n = snprintf(w->scope, sizeof w->scope, "%.8s/%s/%s/aws4_request", w->date, w->q->region, w->q->service);
    int k = snprintf(w->credential, sizeof w->credential, "%s/%s", w->q->key_id, w->scope);
    if (n < 0 || (size_t)n >= sizeof w->scope || k < 0 || (size_t)k >= sizeof w->credential)
        return err_set(err, BP_INVALID, "the region, service or key id to sign with is too long");
    return 0;
}

static void add_own_headers(struct work *w)
{
    if (w->presign)
        return;
    w->extra[w->n_extra++] = (struct sign_header){"X-Amz-Date", w->date};
    if (has_token(w->q) && !w->q->token_after)
        w->extra[w->n_extra++] = (struct sign_header){"X-Amz-Security-Token", w->q->token};
}

static void add_own_pairs(struct work *w)
{
    if (!w->presign)
        return;
    snprintf(w->expires, sizeof w->expires, "%d", w->q->expires_s);
    add_pair(w, "X-Amz-Algorithm", ALGORITHM);
    add_pair(w, "X-Amz-Credential", w->credential);
    add_pair(w, "X-Amz-Date", w->date);
    add_pair(w, "X-Amz-Expires", w->expires);
    if (has_token(w->q) && !w->q->token_after)
        add_pair(w, "X-Amz-Security-Token", w->q->token);
    add_pair(w, "X-Amz-SignedHeaders", w->names);
}

static int canonicalize(struct work *w, struct bp_err *err)
{
    struct out names = {w->names, 0, sizeof w->names, 0}, o = {w->canonical, 0, sizeof w->canonical, 0};
    w->scratch_out = (struct out){w->scratch, 0, sizeof w->scratch, 0};
    int rc = set_times(w, err);
    if (rc < 0)
        return rc;
    add_own_headers(w);
    if (sort_headers(w->extra, w->n_extra, w->q, &w->headers) < 0)
        return err_set(err, BP_NOSPACE, "a request has more headers than can be signed");
    put_names(&names, &w->headers, ";");
    split_query(w->q->query, w->pairs, &w->n_pairs, &w->scratch_out);
    add_own_pairs(w);
    put(&o, w->q->method);
    put(&o, "\n");
    put_path(&o, w->q);
    put(&o, "\n");
    put_pairs(&o, w->pairs, w->n_pairs);
    put(&o, "\n");
    put_headers(&o, &w->headers);
    put(&o, "\n");
    put(&o, w->names);
    put(&o, "\n");
    put(&o, w->q->payload_hash);
    w->n_canonical = o.n;
    if (o.full || names.full || w->scratch_out.full)
        return err_set(err, BP_NOSPACE, "a request is too long to be signed");
    return 0;
}

static void string_to_sign(const struct work *w, char *out, size_t size)
{
    char hash[65];
    sign_sha256_hex(w->canonical, w->n_canonical, hash);
    snprintf(out, size, ALGORITHM "\n%s\n%s\n%s", w->date, w->scope, hash);
}

/* ---- keys ---- */

struct one_key {
    char what[320]; /* key id, day, region, service */
    unsigned char hash[32], key[32];
};

struct sign_keys {
    pthread_mutex_t mutex;
    struct one_key of[KEYS];
    unsigned next;
};

struct sign_keys *sign_keys_new(void)
{
    struct sign_keys *k = calloc(1, sizeof *k);
    if (k)
        pthread_mutex_init(&k->mutex, NULL);
    return k;
}

void sign_keys_free(struct sign_keys *k)
{
    if (!k)
        return;
    pthread_mutex_destroy(&k->mutex);
    OPENSSL_cleanse(k, sizeof *k);
    free(k);
}

static void hmac(const void *key, size_t n, const char *text, unsigned char out[32])
{
    unsigned int len = 32;
    HMAC(EVP_sha256(), key, (int)n, (const unsigned char *)text, strlen(text), out, &len);
}

static void derive(const struct sign_request *q, const char *date, unsigned char key[32])
{
    char secret[160], day[9];
    snprintf(secret, sizeof secret, "AWS4%s", q->secret);
    snprintf(day, sizeof day, "%.8s", date);
    hmac(secret, strlen(secret), day, key);
    hmac(key, 32, q->region, key);
    hmac(key, 32, q->service, key);
    hmac(key, 32, "aws4_request", key);
    OPENSSL_cleanse(secret, sizeof secret);
}

/* The cache knows a key by all that went into it; the secret by its hash, for a key id may get another. */
static void key_for(struct sign_keys *keys, const struct work *w, unsigned char key[32])
{
    unsigned char hash[32];
    if (!keys) {
        derive(w->q, w->date, key);
        return;
    }
    SHA256((const unsigned char *)w->q->secret, strlen(w->q->secret), hash);
    pthread_mutex_lock(&keys->mutex);
    struct one_key *found = NULL;
    for (int i = 0; i < KEYS && !found; i++)
        if (strcmp(keys->of[i].what, w->credential) == 0 && memcmp(keys->of[i].hash, hash, sizeof hash) == 0)
            found = &keys->of[i];
    if (!found) {
        found = &keys->of[keys->next++ % KEYS];
        snprintf(found->what, sizeof found->what, "%s", w->credential);
        memcpy(found->hash, hash, sizeof hash);
        derive(w->q, w->date, found->key);
    }
    memcpy(key, found->key, 32);
    pthread_mutex_unlock(&keys->mutex);
}

static void signature(struct sign_keys *keys, const struct work *w, char out[65])
{
    char text[512];
    unsigned char key[32], mac[32];
    string_to_sign(w, text, sizeof text);
    key_for(keys, w, key);
    hmac(key, sizeof key, text, mac);
    hex_of(mac, sizeof mac, out);
    OPENSSL_cleanse(key, sizeof key);
}

/* ---- the doors ---- */

static int check(const struct sign_request *q, int presign, struct bp_err *err)
{
    if (!q->key_id || !q->key_id[0] || !q->secret || strlen(q->secret) > 150)
        return err_set(err, BP_INVALID, "there is no key to sign with");
    if (presign && (q->expires_s < 1 || q->expires_s > 604800))
        return err_set(err, BP_INVALID, "a signed URL lives 1 to 604800 s, not %d", q->expires_s);
    return 0;
}

int sign_headers(struct sign_keys *keys, const struct sign_request *q, char *out, size_t size, char date[17],
                 struct bp_err *err)
{
    struct work w = {.q = q};
    char mac[65];
    int rc = check(q, 0, err);
    if (rc < 0 || (rc = canonicalize(&w, err)) < 0)
        return rc;
    signature(keys, &w, mac);
    memcpy(date, w.date, sizeof w.date);
    int n = snprintf(out, size, ALGORITHM " Credential=%s, SignedHeaders=%s, Signature=%s", w.credential, w.names, mac);
    return n > 0 && (size_t)n < size ? 0 : err_set(err, BP_NOSPACE, "a request's Authorization header is too long");
}

int sign_query(struct sign_keys *keys, const struct sign_request *q, char *out, size_t size, struct bp_err *err)
{
    struct work w = {.q = q, .presign = 1};
    struct out o = {out, 0, size, 0};
    char mac[65];
    int rc = check(q, 1, err);
    if (rc < 0 || (rc = canonicalize(&w, err)) < 0)
        return rc;
    put_pairs(&o, w.pairs, w.n_pairs);
    signature(keys, &w, mac);
    if (has_token(q) && q->token_after) {
        put(&o, "&X-Amz-Security-Token=");
        put_encoded(&o, q->token, strlen(q->token), 0);
    }
    put(&o, "&X-Amz-Signature=");
    put(&o, mac);
    return o.full ? err_set(err, BP_NOSPACE, "a signed URL is too long") : 0;
}

int sign_canonical(const struct sign_request *q, int presign, char *out, size_t size, struct bp_err *err)
{
    struct work w = {.q = q, .presign = presign};
    int rc = canonicalize(&w, err);
    if (rc == 0 && (size_t)snprintf(out, size, "%s", w.canonical) >= size)
        rc = err_set(err, BP_NOSPACE, "no room for the canonical request");
    return rc;
}
