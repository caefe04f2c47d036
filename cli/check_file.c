/* SPDX-License-Identifier: Apache-2.0 */
/* check_file.c - what can be said of a plugin file from outside: who may write it, its symbols, where it looks for
 * libraries. */
#include "check.h"

#include "log/err.h"
#include "pluginfile/elf.h"
#include "signature_state.h"
#include "vetting/vet.h"
#include <elf.h>
#include <string.h>
#include <unistd.h>

#define INSTALL "install it with: install -m 644 FILE.so PLUGINS_DIR"

/* A section of the image as an array of `size`-byte records. */
struct table {
    const char *at;
    size_t n;
};

static struct table table_of(const struct check *c, const char *name, size_t size)
{
    struct bp_err ignored = {0};
    struct table t = {NULL, 0};
    size_t bytes = 0;
    if (elf_section(c->file.image, (size_t)c->file.st.st_size, name, &t.at, &bytes, &ignored) == BP_OK)
        t.n = bytes / size;
    return t;
}

/* The text at `offset` of a string section, "" when it is outside. */
static const char *text_at(const struct table *strings, uint64_t offset)
{
    if (offset >= strings->n || !memchr(strings->at + offset, '\0', strings->n - offset))
        return "";
    return strings->at + offset;
}

static int is_exported(const Elf64_Sym *s)
{
    unsigned bind = ELF64_ST_BIND(s->st_info), seen = ELF64_ST_VISIBILITY(s->st_other);
    return s->st_shndx != SHN_UNDEF && (bind == STB_GLOBAL || bind == STB_WEAK) &&
           (seen == STV_DEFAULT || seen == STV_PROTECTED);
}

static void symbols(struct check *c)
{
    char others[400] = "";
    int entry = 0, extra = 0;
    struct table symbols = table_of(c, ".dynsym", sizeof(Elf64_Sym)), strings = table_of(c, ".dynstr", 1);
    for (size_t i = 0; i < symbols.n; i++) {
        Elf64_Sym s;
        memcpy(&s, symbols.at + i * sizeof s, sizeof s);
        const char *name = text_at(&strings, s.st_name);
        if (!is_exported(&s))
            continue;
        if (strncmp(name, "__odr_asan", 10) == 0) { /* address sanitizer's own */
            continue;
        }
        if (strcmp(name, BP_ENTRY_SYMBOL) == 0) {
            entry = 1;
        } else if (++extra <= 5) {
            size_t len = strlen(others);
            snprintf(others + len, sizeof others - len, "%s%.60s", len ? ", " : "", name);
        }
    }
    if (!entry)
        finding_add(&c->found, FINDING_ERROR, "symbols",
                    "end the source with BP_WORKFLOW(...), or define the table of bp/plugin.h",
                    "it exports no symbol " BP_ENTRY_SYMBOL ", so it cannot be started");
    if (extra)
        finding_add(
            &c->found, FINDING_ERROR, "symbols",
            "build it with bp_add_plugin() or bp_add_workflow(), or with -fvisibility=hidden and a version script",
            "it exports %d symbol%s beside " BP_ENTRY_SYMBOL ": %s%s", extra, extra == 1 ? "" : "s", others,
            extra > 5 ? ", ..." : "");
    if (entry && !extra)
        finding_add(&c->found, FINDING_OK, "symbols", NULL, "it exports " BP_ENTRY_SYMBOL " and nothing else");
}

static void libraries(struct check *c)
{
    char needed[600] = "";
    struct table dynamic = table_of(c, ".dynamic", sizeof(Elf64_Dyn)), strings = table_of(c, ".dynstr", 1);
    for (size_t i = 0; i < dynamic.n; i++) {
        Elf64_Dyn d;
        memcpy(&d, dynamic.at + i * sizeof d, sizeof d);
        size_t len = strlen(needed);
        if (d.d_tag == DT_NEEDED)
            snprintf(needed + len, sizeof needed - len, "%s%.60s", len ? " " : "", text_at(&strings, d.d_un.d_val));
        if ((d.d_tag == DT_RUNPATH || d.d_tag == DT_RPATH) && text_at(&strings, d.d_un.d_val)[0] == '/')
            finding_add(&c->found, FINDING_WARNING, "libraries",
                        "link without -rpath, or strip it (set CMAKE_SKIP_RPATH)",
                        "it looks for its libraries in %.200s, which other machines may not have",
                        text_at(&strings, d.d_un.d_val));
        if (d.d_tag == DT_TEXTREL)
            finding_add(&c->found, FINDING_WARNING, "libraries", "compile all of it with -fPIC",
                        "its code is changed when it is loaded (text relocations)");
    }
    finding_add(&c->found, FINDING_OK, "libraries", NULL, "it needs %s", needed[0] ? needed : "no other library");
}

static void owners(struct check *c)
{
    char dir[PATH_MAX];
    struct stat st;
    struct bp_err err = {0};
    const struct plugin_file *f = &c->file;
    int fine = vet_owner(&f->st, "it", &err) == BP_OK;
    if (!fine)
        finding_add(&c->found, FINDING_WARNING, "file", INSTALL, "a daemon refuses it as it lies here: %s", err.text);
    snprintf(dir, sizeof dir, "%s", f->path);
    *strrchr(dir, '/') = '\0';
    if (stat(dir[0] ? dir : "/", &st) == 0 && vet_owner(&st, "its directory", &err) != BP_OK) {
        finding_add(&c->found, FINDING_WARNING, "file", INSTALL, "a daemon refuses it as it lies here: %s", err.text);
        fine = 0;
    }
    if (!(f->st.st_mode & S_IRUSR))
        finding_add(&c->found, FINDING_WARNING, "file", INSTALL, "its owner may not read it (mode %04o)",
                    f->st.st_mode & 07777);
    else if (fine)
        finding_add(&c->found, FINDING_OK, "file", NULL, "%s: %lld bytes, mode %04o", f->path, (long long)f->st.st_size,
                    f->st.st_mode & 07777);
}

/* A daemon without plugins.signers asks for none, so that it is missing is no fault. */
static void signature(struct check *c)
{
    char words[600];
    struct signature_state s;
    signature_state_read(&c->file, &s);
    signature_state_words(&s, words, sizeof words);
    if (s.bad || (s.there && !s.good))
        finding_add(&c->found, FINDING_ERROR, "signature", "sign it again: bpctl plugin sign FILE.so --key KEY.pem",
                    "its signature: %s; a daemon with plugins.signers refuses it", words);
    else if (s.there)
        finding_add(&c->found, FINDING_OK, "signature", NULL, "%s", words);
}

void check_file(struct check *c)
{
    struct bp_err err = {0};
    const char *ignored;
    size_t bytes;
    owners(c);
    int rc = elf_section(c->file.image, (size_t)c->file.st.st_size, ".dynsym", &ignored, &bytes, &err);
    if (rc < 0 && rc != BP_NOTFOUND) {
        finding_add(&c->found, FINDING_ERROR, "elf", "build it as a shared object, with bp_add_plugin()", "%s",
                    err.text);
        return;
    }
    symbols(c);
    libraries(c);
    signature(c);
}
