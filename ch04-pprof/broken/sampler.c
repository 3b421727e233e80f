/*
 * The handler of SIGPROF, and what it leaves for its reader: a list of samples.
 *
 * The handler stays for good: a signal that comes late would otherwise end the process. It says
 * for which thread its timer was made; if the slot is no more that thread's, it is ignored. Who
 * closes a slot waits for a handler that is inside.
 */
#include "base/tools.h"
#include "pprof/cpu.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over all samples */

typedef struct sample {
    struct sample *next;
    uint64_t periods;
    gee_cpu_stack stack;
} sample;

static struct slot {
    _Atomic int tid; /* whose it is; 0: closed */
    _Atomic int inside;
    _Atomic uint64_t dropped;
    sample *samples; /* the latest first */
} slots[GEE_SAMPLER_SLOTS];

/* --- in the handler, which is the thread's and no task's: for TSan its tasks are threads --- */

GEE_TSAN_CARRIER static void take(struct slot *s, uint64_t periods, const void *ucontext) {
    sample *one = malloc(sizeof(*one));
    if (one == NULL) {
        s->dropped += periods;
        return;
    }
    one->periods = periods;
    gee_cpu_walk(ucontext, &one->stack);
    pthread_mutex_lock(&lock);
    one->next = s->samples;
    s->samples = one;
    pthread_mutex_unlock(&lock);
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
}

void gee_sampler_forked(void) {
    for (int i = 0; i < GEE_SAMPLER_SLOTS; i++) {
        slots[i].inside = 0;
        gee_sampler_close(i);
    }
}

uint64_t gee_sampler_read(int slot, gee_sampler_fn *fn, void *arg) {
    struct slot *s = &slots[slot];
    pthread_mutex_lock(&lock);
    for (sample *one; (one = s->samples) != NULL; free(one)) {
        s->samples = one->next;
        fn(&one->stack, one->periods, arg);
    }
    pthread_mutex_unlock(&lock);
    return atomic_exchange(&s->dropped, 0);
}
