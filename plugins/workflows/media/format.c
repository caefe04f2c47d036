/* SPDX-License-Identifier: Apache-2.0 */
#include "format.h"

#include <bp/workflow.h>
#include <dlfcn.h>
#include <pthread.h>

/* The one whose headers this was built with. */
#define FILE_NAME "libavformat.so." AV_STRINGIFY(LIBAVFORMAT_VERSION_MAJOR)

struct format lavf;
static char problem[200];

static void load(void)
{
    const struct {
        const char *name;
        void *at;
    } wanted[] = {
#define FORMAT_ROW(name) {#name, &lavf.name},
        FORMAT_FUNCTIONS(FORMAT_ROW)
#undef FORMAT_ROW
    };
    void *library = dlopen(FILE_NAME, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    for (size_t i = 0; library && i < sizeof wanted / sizeof wanted[0]; i++) {
        void *function = dlsym(library, wanted[i].name);
        if (!function)
            library = NULL;
        memcpy(wanted[i].at, &function, sizeof function);
    }
    if (!library)
        snprintf(problem, sizeof problem, "loading %s failed: %.160s", FILE_NAME, dlerror());
}

int32_t format_load(struct bp_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    return problem[0] ? bp_error(err, BP_FAIL, "%s", problem) : BP_OK;
}
