/* SPDX-License-Identifier: Apache-2.0 */
#include "format.h"

#include <bp/workflow.h>
#include <dlfcn.h>
#include <pthread.h>

/* The one whose headers this was built with. */
#define FILE_NAME "libavformat.so." AV_STRINGIFY(LIBAVFORMAT_VERSION_MAJOR)

struct format lavf;

static int32_t load(struct bp_err *err)
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
    return library ? BP_OK : bp_error(err, BP_FAIL, "loading %s failed: %.160s", FILE_NAME, dlerror());
}

/* What failed for want of memory may do the next time. */
int32_t format_load(struct bp_err *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static int loaded;
    pthread_mutex_lock(&lock);
    int32_t rc = loaded ? BP_OK : load(err);
    loaded = rc == BP_OK;
    pthread_mutex_unlock(&lock);
    return rc;
}
