/* SPDX-License-Identifier: Apache-2.0 */
/* elf.h - finds one section in the image of an ELF shared object. Reads nothing outside the image, runs none of it. */
#ifndef PLUGINFILE_ELF_H
#define PLUGINFILE_ELF_H

#include <bp/plugin.h>

/*
 * *data, *bytes: the section, inside image. BP_OK; BP_LATER: the file ends too early (still being written?);
 * BP_NOTFOUND: a sound shared object without that section; BP_INVALID: no ELF shared object for this machine. Any
 * thread.
 */
int elf_section(const void *image, size_t n, const char *name, const char **data, size_t *bytes, struct bp_err *err);

#endif
