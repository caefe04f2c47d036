/* SPDX-License-Identifier: Apache-2.0 */
#include "pluginfile/elf.h"
#include "log/err.h"
#include <elf.h>
#include <string.h>

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#else
#error "name this machine's ELF number here"
#endif

struct image {
    const unsigned char *bytes;
    size_t n;
};

/* Are the `bytes` from `offset` inside the image? Written so that nothing can overflow. */
static int inside(const struct image *im, uint64_t offset, uint64_t bytes)
{
    return offset <= im->n && bytes <= im->n - offset;
}

static int cut_short(const struct image *im, struct bp_err *err)
{
    return err_set(err, BP_LATER, "the file ends too early (%zu bytes): it is cut off or still being written", im->n);
}

static int header_read(const struct image *im, Elf64_Ehdr *h, struct bp_err *err)
{
    size_t magic = im->n < SELFMAG ? im->n : SELFMAG;
    if (memcmp(im->bytes, ELFMAG, magic) != 0)
        return err_set(err, BP_INVALID, "not an ELF file; a plugin is a shared object built with bp_add_plugin()");
    if (im->n < sizeof(*h))
        return cut_short(im, err);
    memcpy(h, im->bytes, sizeof(*h));
    if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_machine != MACHINE)
        return err_set(err, BP_INVALID, "built for another machine (ELF machine %u, wanted %u)", h->e_machine, MACHINE);
    if (h->e_type != ET_DYN)
        return err_set(err, BP_INVALID, "an ELF file, but no shared object (type %u); link it with -shared", h->e_type);
    return BP_OK;
}

/* A loadable segment past the end of the file would be a SIGBUS in dlopen(). */
static int segments_check(const struct image *im, const Elf64_Ehdr *h, struct bp_err *err)
{
    if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0)
        return err_set(err, BP_INVALID, "the ELF program headers are malformed");
    if (!inside(im, h->e_phoff, (uint64_t)h->e_phnum * sizeof(Elf64_Phdr)))
        return cut_short(im, err);
    for (uint32_t i = 0; i < h->e_phnum; i++) {
        Elf64_Phdr p;
        memcpy(&p, im->bytes + h->e_phoff + i * sizeof(p), sizeof(p));
        if (p.p_type == PT_LOAD && !inside(im, p.p_offset, p.p_filesz))
            return cut_short(im, err);
    }
    return BP_OK;
}

static Elf64_Shdr section_at(const struct image *im, const Elf64_Ehdr *h, uint32_t i)
{
    Elf64_Shdr s;
    memcpy(&s, im->bytes + h->e_shoff + i * sizeof(s), sizeof(s));
    return s;
}

static int sections_check(const struct image *im, const Elf64_Ehdr *h, Elf64_Shdr *names, struct bp_err *err)
{
    if (h->e_shoff == 0 || h->e_shnum == 0)
        return err_set(err, BP_NOTFOUND, "the file has no section headers, so no manifest can be found in it");
    if (h->e_shentsize != sizeof(Elf64_Shdr) || h->e_shstrndx >= h->e_shnum)
        return err_set(err, BP_INVALID, "the ELF section headers are malformed");
    if (!inside(im, h->e_shoff, (uint64_t)h->e_shnum * sizeof(Elf64_Shdr)))
        return cut_short(im, err);
    *names = section_at(im, h, h->e_shstrndx);
    return inside(im, names->sh_offset, names->sh_size) ? BP_OK : cut_short(im, err);
}

static int is_named(const struct image *im, const Elf64_Shdr *names, const Elf64_Shdr *s, const char *name)
{
    size_t want = strlen(name) + 1;
    if (s->sh_name >= names->sh_size || names->sh_size - s->sh_name < want)
        return 0;
    return memcmp(im->bytes + names->sh_offset + s->sh_name, name, want) == 0;
}

int elf_section(const void *image, size_t n, const char *name, const char **data, size_t *bytes, struct bp_err *err)
{
    struct image im = {image, n};
    Elf64_Ehdr h;
    Elf64_Shdr names = {0};
    int rc = header_read(&im, &h, err);
    if (!rc)
        rc = segments_check(&im, &h, err);
    if (!rc)
        rc = sections_check(&im, &h, &names, err);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < h.e_shnum; i++) {
        Elf64_Shdr s = section_at(&im, &h, i);
        if (s.sh_type == SHT_NOBITS || !is_named(&im, &names, &s, name))
            continue;
        if (!inside(&im, s.sh_offset, s.sh_size))
            return cut_short(&im, err);
        *data = (const char *)im.bytes + s.sh_offset;
        *bytes = s.sh_size;
        return BP_OK;
    }
    return err_set(err, BP_NOTFOUND, "no section %s in it, so it carries no manifest; build it with bp_add_plugin()",
                   name);
}
