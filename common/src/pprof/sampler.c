/*
 * The handler of SIGPROF, and what it leaves for its reader.
 *
 * It may interrupt anything: malloc with its lock held, the reader itself, an instruction between
 * two words of a list. So it takes no lock, and needs no memory that is not there: each thread has
 * a ring of its own, of which the handler moves the one end and the reader the other. A sample
 * for which there is no room is counted. errno is as it was.
 *
 * The handler stays for good: a signal that comes late would otherwise end the process. It says
 * for which thread its timer was made; if the slot is no more that thread's, it is ignored. Who
 * closes a slot waits for a handler that is inside. It never waits for anybody, so that is short.
 */
#include "base/tools.h"
#include "pprof/cpu.h"
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

enum { RING = 128 };

typedef struct sample {
    uint64_t periods;
    gee_cpu_stack stack;
} sample;

static struct slot {
    _Atomic int tid; /* whose it is; 0: closed */
    _Atomic int inside;
    _Atomic uint64_t dropped;
    /* Those between tail and head are to be read. */
    _Atomic unsigned head; /* the handler's */
    _Atomic unsigned tail; /* the reader's */
    sample *ring;
} slots[GEE_SAMPLER_SLOTS];

/* --- in the handler, which is the thread's and no task's: for TSan its tasks are threads --- */

GEE_TSAN_CARRIER static void take(struct slot *s, uint64_t periods, const void *ucontext) {
    sample *one = s->head - s->tail == RING ? NULL : &s->ring[s->head % RING];
    if (one == NULL) {
        s->dropped += periods;
        return;
    }
    one->periods = periods;
    gee_cpu_walk(ucontext, &one->stack);
    s->head++;
}

GEE_TSAN_CARRIER static void on_prof(int signum, siginfo_t *info, void *ucontext) {
    (void)signum;
    if (info->si_code != SI_TIMER) /* somebody's kill */
        return;
    int before = errno;
    uintptr_t value = (uintptr_t)info->si_value.sival_ptr;
    struct slot *s = &slots[value % GEE_SAMPLER_SLOTS];
    s->inside++;
    if (s->tid == (int)(value / GEE_SAMPLER_SLOTS))
        take(s, 1 + (uint64_t)info->si_overrun, ucontext);
    s->inside--;
    errno = before;
}

/* --- outside --- */

int gee_sampler_watch(void) {
    struct sigaction now,
        ours = {.sa_sigaction = on_prof, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    sigfillset(&ours.sa_mask);
    sigdelset(&ours.sa_mask, SIGSEGV); /* blocked, it would end the process without a word */
    sigdelset(&ours.sa_mask, SIGBUS);
    sigaction(SIGPROF, NULL, &now);
    if (now.sa_sigaction == on_prof)
        return 0;
    if (now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN)
        return UV_EBUSY;
    return uv_translate_sys_error(sigaction(SIGPROF, &ours, NULL) == 0 ? 0 : errno);
}

int gee_sampler_open(int slot, int tid, union sigval *value) {
    struct slot *s = &slots[slot];
    s->ring = malloc(RING * sizeof(*s->ring));
    if (s->ring == NULL)
        return UV_ENOMEM;
    s->tail = s->head;
    s->dropped = 0;
    value->sival_ptr = (void *)((uintptr_t)tid * GEE_SAMPLER_SLOTS + (uintptr_t)slot);
    s->tid = tid;
    return 0;
}

void gee_sampler_close(int slot) {
    struct slot *s = &slots[slot];
    s->tid = 0;
    while (s->inside > 0)
        sched_yield();
    free(s->ring);
    s->ring = NULL;
}

void gee_sampler_forked(void) {
    for (int i = 0; i < GEE_SAMPLER_SLOTS; i++) {
        slots[i].inside = 0;
        gee_sampler_close(i);
    }
}

uint64_t gee_sampler_read(int slot, gee_sampler_fn *fn, void *arg) {
    struct slot *s = &slots[slot];
    for (; s->tail != s->head; s->tail++) {
        const sample *one = &s->ring[s->tail % RING];
        fn(&one->stack, one->periods, arg);
    }
    return atomic_exchange(&s->dropped, 0);
}
