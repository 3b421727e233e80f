/*
 * The CPU profile: where the process spends its CPU time, and for which task.
 *
 * Each thread has a timer on its own CPU clock, whose signal (SIGPROF) interrupts that thread and
 * nobody else. The handler (sampler.c) writes down the stack that it finds, and may do nothing
 * more. A thread that nobody waits for (cpu.c) reads what was written, finds new threads, and
 * counts equal stacks.
 */
#ifndef GEE_PPROF_CPU_H
#define GEE_PPROF_CPU_H

#include "gee/task.h"
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the registers of an interrupted instruction are known. */
#if defined(__x86_64__) || defined(__aarch64__)
enum { GEE_CPU_KNOWN = 1 };
#else
enum { GEE_CPU_KNOWN = 0 };
#endif

enum { GEE_CPU_FRAMES = 64, GEE_CPU_WORDS = 1024, GEE_CPU_HZ = 100, GEE_CPU_MAX_HZ = 1000 };

/* --- cpu.c --- */

/* Whose time it is, and where it went. */
typedef struct gee_cpu_stack {
    uint64_t task;       /* 0: no task's */
    gee_site created_at; /* of the task; NULL */
    char name[32];       /* of the task */
    /* The innermost first, each within its instruction. */
    int nframes;
    uintptr_t frames[GEE_CPU_FRAMES];
    /* Where they may not be all: registers, and so much of the stack from sp on. */
    uintptr_t sp, fp, lr; /* lr: on aarch64 */
    int nwords;
    uintptr_t words[GEE_CPU_WORDS];
} gee_cpu_stack;

typedef struct gee_cpu_row {
    struct gee_cpu_row *next, *same_hash;
    uint64_t count;      /* samples: periods of CPU time */
    gee_cpu_stack stack; /* as far as its last frame */
} gee_cpu_row;

typedef struct gee_cpu_profile {
    int hz;
    uint64_t start_unix_ns, duration_ns;
    uint64_t samples; /* of all rows */
    uint64_t dropped; /* for which there was no room, in a thread's ring or among the rows */
    int threads;      /* that were looked at, some of which may have ended */
    int unseen;       /* that could not be */
    gee_cpu_row *rows;
} gee_cpu_profile;

/*
 * Begins a profile of all threads of the process. 0; UV_EALREADY: one is being made, of the whole
 * process there is one at a time; UV_EBUSY: the program has a handler of its own for SIGPROF;
 * UV_EINVAL: hz is not 1 to GEE_CPU_MAX_HZ; UV_ENOTSUP: not on this processor; UV_ENOMEM and
 * others. gee_cpu_stop() ends it, on any thread; it waits for a thread and takes some milliseconds.
 * Then the profile is the caller's, who frees it.
 */
int gee_cpu_start(int hz);
gee_cpu_profile *gee_cpu_stop(void);
void gee_cpu_free(gee_cpu_profile *p);

/* --- sampler.c --- */

/* Threads have slots: their numbers. */
enum { GEE_SAMPLER_SLOTS = 256 };

/* Puts the handler in place, for good. 0 or UV_EBUSY, as above. */
int gee_sampler_watch(void);

/* Makes room for the samples of a thread, some dozens and no more, before it has its timer; *value
 * is for the timer's signal. 0 or UV_ENOMEM. */
int gee_sampler_open(int slot, int tid, union sigval *value);
/* When its timer is gone. A signal that is still on its way finds the slot closed. */
void gee_sampler_close(int slot);

/* In the child of a fork: closes all of them. Who was inside a handler is not here. */
void gee_sampler_forked(void);

/* fn for each sample of the slot that was not read yet, with the periods that it stands for.
 * One reader at a time. How many were dropped since it was last asked. */
typedef void gee_sampler_fn(const gee_cpu_stack *s, uint64_t periods, void *arg);
uint64_t gee_sampler_read(int slot, gee_sampler_fn *fn, void *arg);

/* unwind.c: the stack anew, by the tables beside the code; without the words. Not in a handler. */
typedef struct gee_cpu_unwinder gee_cpu_unwinder;
gee_cpu_unwinder *gee_cpu_unwinder_open(void); /* reads files; NULL: it cannot be done */
void gee_cpu_unwind(gee_cpu_unwinder *u, const gee_cpu_stack *from, gee_cpu_stack *to);
void gee_cpu_unwinder_close(gee_cpu_unwinder *u);

/* walk.c: before the first handler; and in it: fills in whose time it is and the frames of what
 * was interrupted. */
void gee_cpu_walk_init(void);
bool gee_cpu_is_ours(uintptr_t pc); /* code that has frame pointers */
void gee_cpu_walk(const void *ucontext, gee_cpu_stack *out);

#endif
