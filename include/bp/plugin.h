/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bp/plugin.h - the contract between bpd and a plugin.
 *
 * A plugin is one ELF shared object that exports exactly one symbol, bp_plugin_v1, and carries its
 * manifest (JSON text) in the ELF section .bp.manifest, which the host reads before any code of the
 * plugin runs. Everything that crosses this line is a fixed-width integer, a double, UTF-8 text, bytes
 * or a table of functions; tables and structs start with their size, grow only at the end, and each
 * side reads min(size, its own sizeof).
 *
 * Ownership: a pointer in is borrowed for the call. A pointer out through ** is the caller's, to be
 * freed with the function named in its comment. Memory that crosses from a plugin to the host is
 * allocated with bp_host.alloc and freed with bp_host.free, so there is one allocator.
 */
#ifndef BP_PLUGIN_H
#define BP_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_ABI(major, minor) ((uint32_t)(major) << 16 | (uint32_t)(minor))
#define BP_ABI_MAJOR(abi)    ((uint32_t)(abi) >> 16)
#define BP_ABI_MINOR(abi)    ((uint32_t)(abi)&0xffffU)
/* The contract these headers describe. A host takes plugins of its own major and of any minor. */
#define BP_ABI_VERSION BP_ABI(1, 0)

/* Does table `t` (of any size word) have member `f`, and is it set? Required before using anything newer than 1.0. */
#define BP_HAS(t, f) ((t)->size >= offsetof(__typeof__(*(t)), f) + sizeof((t)->f) && (t)->f)

#define BP_MANIFEST_SECTION ".bp.manifest"
#define BP_ENTRY_SYMBOL     "bp_plugin_v1"

#if defined(__GNUC__)
#define BP_EXPORT       __attribute__((visibility("default")))
#define BP_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define BP_EXPORT
#define BP_PRINTF(f, a)
#endif

/*
 * Return codes: 0 or one of these. They are numbers, not an enum type, because they cross the ABI.
 * Every function that can fail also takes a struct bp_err and writes one sentence there: what was
 * attempted, on what, why it failed, what to do next.
 */
#define BP_OK          0
#define BP_FAIL        (-1)  /* it did not work, and no code below says it better; may be retried */
#define BP_INVALID     (-2)  /* an argument or stored value is wrong; retrying cannot help */
#define BP_NOTFOUND    (-3)  /* no such thing */
#define BP_CONFLICT    (-4)  /* it exists already, with other content or in a state that forbids this */
#define BP_LATER       (-5)  /* busy or full now; nothing was accepted, try again later */
#define BP_TIMEOUT     (-6)  /* the deadline passed; the outcome is unknown */
#define BP_NOSPACE     (-7)  /* a disk or a quota is full; nothing was accepted */
#define BP_UNSUPPORTED (-8)  /* this provider does not offer that */
#define BP_DENIED      (-9)  /* not allowed */
#define BP_STALE       (-10) /* the lease is over: token and row do not match */
#define BP_STOPPED     (-11) /* told to stop: shutting down, draining or interrupted */
#define BP_BADINPUT    (-12) /* the tenant's input cannot be processed; terminal for the job */
#define BP_NOMEM       (-13) /* out of memory (host or device) */
#define BP_IO          (-14) /* reading or writing a file or a device failed */
#define BP_TOOLARGE    (-15) /* what was given has more bytes than can be taken; nothing was accepted */

/* The caller's storage for one error. rc repeats the return code; text is one sentence, NUL-terminated. */
struct bp_err {
    int32_t rc;
    char text[252];
};

/* Log levels, most severe first. */
#define BP_LOG_ERROR 1
#define BP_LOG_WARN  2
#define BP_LOG_INFO  3
#define BP_LOG_DEBUG 4

/* The host's handle of one running plugin; opaque, valid from start() until stop() returned. */
struct bp_self;
struct bp_op; /* bp/queue.h */

/* What the host offers. Every call is safe from any thread of the plugin. Borrowed until stop() returned. */
struct bp_host {
    uint32_t size;
    uint32_t abi;
    /* One log line under the plugin's name; level is BP_LOG_*. */
    void (*log)(struct bp_self *self, int32_t level, const char *fmt, ...) BP_PRINTF(3, 4);
    /* Milliseconds since the Unix epoch. May be a virtual clock: never mix with another source. */
    int64_t (*now_ms)(struct bp_self *self);
    /* The plugin's settings as JSON text: validated against the manifest's "config", secrets resolved.
     * Borrowed until stop(); a change of settings restarts the plugin. */
    const char *(*config)(struct bp_self *self);
    /* A private directory for the plugin's own state, existing, mode 0700. Borrowed until stop(). */
    const char *(*state_dir)(struct bp_self *self);
    /* Publishes an event of the table bp/event.def; fields is a JSON object. BP_INVALID names a wrong field. */
    int32_t (*emit)(struct bp_self *self, const char *event, const char *fields, struct bp_err *err);
    /* The one allocator for memory that crosses to the host. alloc returns zeroed memory or NULL. */
    void *(*alloc)(size_t bytes);
    void (*free)(void *memory);
    /* Newer than 1.0: ask with BP_HAS. Of a queue plugin, from inside apply(): this operation of the batch has been
     * answered as it will be if the batch takes effect, so whoever waits for it may hear of it before the commit; which
     * operations that may be, and what follows, is said in bp/queue.h. BP_OK: its results and its memory are the
     * host's, and the plugin touches the operation no more, whatever becomes of the batch. Otherwise (BP_UNSUPPORTED:
     * nobody wants to hear of it early) nothing happened. */
    int32_t (*op_early)(struct bp_self *self, struct bp_op *op);
};

/* The plugin's side, exported as `const struct bp_plugin bp_plugin_v1`. */
struct bp_plugin {
    uint32_t size;
    uint32_t abi;
    const char *name; /* equals the manifest's "name" */
    /* Brings the plugin up; may block (databases, migrations). Runs on the plugin's own thread, as all
     * callbacks do. *inst is handed to every later call. On error nothing is left behind. BP_LATER or BP_NOSPACE: what
     * it needs is not there now (a database that is down, room on a disk); the host shows the reason and starts it
     * again by itself, after 1 s and then after ever longer rests up to 30 s. */
    int32_t (*start)(struct bp_self *self, const struct bp_host *host, void **inst, struct bp_err *err);
    /* After the last facet call returned; cannot fail. */
    void (*stop)(void *inst);
    /* The table of a facet, "bp.queue/1" say, or NULL when not offered. Borrowed until stop(). */
    const void *(*facet)(void *inst, const char *id);
};

#ifdef __cplusplus
}
#endif
#endif
