/*
 * A CPU profile from its start to its end: which threads have a timer, and what became of their
 * samples.
 *
 * The work is done by a thread of its own, for a task may not get to run: whoever spins keeps his
 * worker from all others, and he is the one we look for. Every 100 ms it reads the rings and looks
 * for threads that are new or gone. It finds them in /proc, and makes timers on the CPU clocks
 * of others; so libuv's threads, a library's and itself are covered without knowing of it.
 *
 * What fork makes has neither the timers nor that thread, so a profile is one process's. What exec
 * makes has no timer, and the kernel drops the signals of those that there were.
 */
#include "pprof/cpu.h"
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { EACH_MS = 100, HASH = 4096, MOST_ROWS = 64 * 1024 };

typedef struct seen {
    int tid; /* 0: the slot is free */
    timer_t timer;
    bool here; /* in the latest look */
} seen;

static struct {
    uv_once_t once;
    uv_mutex_t lock; /* over pid and stop */
    uv_cond_t bell;
    pid_t pid; /* whose profile is being made; 0: none */
    bool stop;

    /* Of who starts it, until the thread runs; then the thread's; then of who joins it. */
    uv_thread_t thread;
    DIR *tasks;
    uint64_t start_ns;
    seen threads[GEE_SAMPLER_SLOTS];
    gee_cpu_profile *profile;
    gee_cpu_row **hash;
    size_t nrows;
    gee_cpu_unwinder *unwinder; /* once it is needed */
    gee_cpu_stack unwound;
} cpu = {.once = UV_ONCE_INIT};

/* What a child has of its parent's profile is memory. */
static void in_child(void) {
    if (cpu.pid == 0)
        return;
    uv_mutex_init(&cpu.lock);
    uv_cond_init(&cpu.bell);
    gee_sampler_forked();
    free(cpu.hash);
    gee_cpu_free(cpu.profile);
    gee_cpu_unwinder_close(cpu.unwinder);
    cpu.unwinder = NULL;
    if (cpu.tasks)
        closedir(cpu.tasks);
    cpu.hash = NULL;
    cpu.profile = NULL;
    cpu.tasks = NULL;
    cpu.pid = 0;
}

static void init_once(void) {
    uv_mutex_init(&cpu.lock);
    uv_cond_init(&cpu.bell);
    pthread_atfork(NULL, NULL, in_child);
    gee_cpu_walk_init();
}

/* --- equal stacks --- */

static size_t size_of(const gee_cpu_stack *s) {
    return offsetof(gee_cpu_stack, frames) + (size_t)s->nframes * sizeof(s->frames[0]);
}

/* FNV-1a, by words. */
static uint64_t hash_of(const gee_cpu_stack *s) {
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ s->task;
    for (int i = 0; i < s->nframes; i++)
        h = (h ^ s->frames[i]) * UINT64_C(0x100000001b3);
    return h ^ (h >> 32);
}

static bool same(const gee_cpu_stack *a, const gee_cpu_stack *b) {
    return a->task == b->task && a->created_at == b->created_at && a->nframes == b->nframes &&
           strncmp(a->name, b->name, sizeof(a->name)) == 0 &&
           memcmp(a->frames, b->frames, (size_t)a->nframes * sizeof(a->frames[0])) == 0;
}

static gee_cpu_row *new_row(gee_cpu_row **chain, const gee_cpu_stack *s) {
    gee_cpu_row *row =
        cpu.nrows < MOST_ROWS ? malloc(offsetof(gee_cpu_row, stack) + size_of(s)) : NULL;
    if (row == NULL)
        return NULL;
    memcpy(&row->stack, s, size_of(s));
    row->count = 0;
    row->same_hash = *chain;
    *chain = row;
    row->next = cpu.profile->rows;
    cpu.profile->rows = row;
    cpu.nrows++;
    return row;
}

/* Its own frames, or those that the copy of its stack leads to. */
static const gee_cpu_stack *whole(const gee_cpu_stack *s) {
    if (s->nwords == 0)
        return s;
    if (cpu.unwinder == NULL)
        cpu.unwinder = gee_cpu_unwinder_open();
    if (cpu.unwinder == NULL)
        return s;
    gee_cpu_unwind(cpu.unwinder, s, &cpu.unwound);
    return &cpu.unwound;
}

static void count(const gee_cpu_stack *sample, uint64_t periods, void *arg) {
    const gee_cpu_stack *s = whole(sample);
    gee_cpu_row **chain = &cpu.hash[hash_of(s) % HASH], *row = *chain;
    (void)arg;
    while (row && !same(&row->stack, s))
        row = row->same_hash;
    if (row == NULL && (row = new_row(chain, s)) == NULL) {
        cpu.profile->dropped += periods;
        return;
    }
    row->count += periods;
    cpu.profile->samples += periods;
}

static void read_slot(int slot) {
    cpu.profile->dropped += gee_sampler_read(slot, count, NULL);
}

/* --- threads --- */

/* pthread_getcpuclockid() of a thread of which only the number is known: the kernel's own form. */
static clockid_t clock_of(int tid) {
    enum { PER_THREAD = 4, SCHED = 2 };
    return (clockid_t)(~(unsigned)tid << 3 | PER_THREAD | SCHED);
}

static int add(int tid) {
    int slot = 0;
    while (slot < GEE_SAMPLER_SLOTS && cpu.threads[slot].tid != 0)
        slot++;
    seen *s = &cpu.threads[slot];
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF};
    event.sigev_notify_thread_id = tid;
    if (slot == GEE_SAMPLER_SLOTS || gee_sampler_open(slot, tid, &event.sigev_value) < 0)
        return UV_ENOMEM;
    long period = 1000000000L / cpu.profile->hz;
    struct itimerspec every = {
        .it_interval = {.tv_sec = period / 1000000000L, .tv_nsec = period % 1000000000L}};
    every.it_value = every.it_interval;
    int err = timer_create(clock_of(tid), &event, &s->timer) == 0 ? 0 : errno;
    if (err == 0 && timer_settime(s->timer, 0, &every, NULL) != 0) {
        err = errno;
        timer_delete(s->timer);
    }
    if (err != 0) {
        gee_sampler_close(slot);
        return uv_translate_sys_error(err);
    }
    s->tid = tid;
    cpu.profile->threads++;
    return 0;
}

static void part(int slot) {
    timer_delete(cpu.threads[slot].timer);
    read_slot(slot);
    gee_sampler_close(slot);
    cpu.threads[slot].tid = 0;
}

static bool is_here(int tid) {
    for (int i = 0; i < GEE_SAMPLER_SLOTS; i++)
        if (cpu.threads[i].tid == tid)
            return cpu.threads[i].here = true;
    return false;
}

/* How many threads could not be given a timer. */
static int look_at_threads(void) {
    int unseen = 0;
    for (int i = 0; i < GEE_SAMPLER_SLOTS; i++)
        cpu.threads[i].here = false;
    rewinddir(cpu.tasks);
    for (const struct dirent *e; (e = readdir(cpu.tasks)) != NULL;) {
        int tid = atoi(e->d_name);
        if (tid > 0 && !is_here(tid)) {
            int err = add(tid);
            if (err == 0)
                is_here(tid);
            else if (err != UV_EINVAL && err != UV_ESRCH) /* it has just ended */
                unseen++;
        }
    }
    for (int i = 0; i < GEE_SAMPLER_SLOTS; i++)
        if (cpu.threads[i].tid != 0 && !cpu.threads[i].here)
            part(i);
    return unseen;
}

static void look(void) {
    for (int i = 0; i < GEE_SAMPLER_SLOTS; i++)
        if (cpu.threads[i].tid != 0)
            read_slot(i);
    int unseen = look_at_threads();
    if (unseen > cpu.profile->unseen)
        cpu.profile->unseen = unseen;
}

static void run(void *arg) {
    (void)arg;
    pthread_setname_np(pthread_self(), "gee profile");
    uv_mutex_lock(&cpu.lock);
    while (!cpu.stop) {
        uv_mutex_unlock(&cpu.lock);
        look();
        uv_mutex_lock(&cpu.lock);
        if (!cpu.stop)
            uv_cond_timedwait(&cpu.bell, &cpu.lock, EACH_MS * UINT64_C(1000000));
    }
    uv_mutex_unlock(&cpu.lock);
}

/* --- start and stop --- */

static uint64_t ns_of(clockid_t clock) {
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

/* The signals that the program waits for are not for this thread; but it, too, is looked at. */
static int start_thread(void) {
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGPROF);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = uv_thread_create(&cpu.thread, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static void end_timers(void) {
    for (int i = 0; i < GEE_SAMPLER_SLOTS; i++)
        if (cpu.threads[i].tid != 0)
            part(i);
}

/* What was made for the profile, but for the profile. */
static void put_away(void) {
    end_timers();
    if (cpu.tasks)
        closedir(cpu.tasks);
    free(cpu.hash);
    gee_cpu_unwinder_close(cpu.unwinder);
    cpu.unwinder = NULL;
    cpu.tasks = NULL;
    cpu.hash = NULL;
    uv_mutex_lock(&cpu.lock);
    cpu.pid = 0;
    uv_mutex_unlock(&cpu.lock);
}

static int begin(int hz) {
    cpu.nrows = 0;
    cpu.stop = false;
    memset(cpu.threads, 0, sizeof(cpu.threads));
    cpu.tasks = opendir("/proc/self/task");
    if (cpu.tasks == NULL)
        return uv_translate_sys_error(errno);
    cpu.hash = calloc(HASH, sizeof(gee_cpu_row *));
    cpu.profile = calloc(1, sizeof(*cpu.profile));
    if (cpu.hash == NULL || cpu.profile == NULL)
        return UV_ENOMEM;
    cpu.profile->hz = hz;
    cpu.profile->start_unix_ns = ns_of(CLOCK_REALTIME);
    cpu.start_ns = ns_of(CLOCK_MONOTONIC);
    look_at_threads();
    return cpu.profile->threads == 0 ? UV_EAGAIN : start_thread();
}

int gee_cpu_start(int hz) {
    if (hz < 1 || hz > GEE_CPU_MAX_HZ)
        return UV_EINVAL;
    if (!GEE_CPU_KNOWN)
        return UV_ENOTSUP;
    uv_once(&cpu.once, init_once);
    uv_mutex_lock(&cpu.lock);
    int rc = cpu.pid != 0 ? UV_EALREADY : gee_sampler_watch();
    if (rc == 0)
        cpu.pid = getpid();
    uv_mutex_unlock(&cpu.lock);
    if (rc < 0)
        return rc;
    rc = begin(hz);
    if (rc < 0) {
        end_timers();
        gee_cpu_free(cpu.profile);
        cpu.profile = NULL; /* behind put_away() it may be somebody else's */
        put_away();
    }
    return rc;
}

gee_cpu_profile *gee_cpu_stop(void) {
    uv_mutex_lock(&cpu.lock);
    cpu.stop = true;
    uv_cond_signal(&cpu.bell);
    uv_mutex_unlock(&cpu.lock);
    uv_thread_join(&cpu.thread);
    gee_cpu_profile *p = cpu.profile;
    end_timers();
    p->duration_ns = ns_of(CLOCK_MONOTONIC) - cpu.start_ns;
    cpu.profile = NULL;
    put_away();
    return p;
}

void gee_cpu_free(gee_cpu_profile *p) {
    while (p && p->rows) {
        gee_cpu_row *row = p->rows;
        p->rows = row->next;
        free(row);
    }
    free(p);
}
