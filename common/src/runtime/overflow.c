/*
 * Stack overflow. The guard below a task's stack makes it a SIGSEGV, which says
 * nothing: no core file names the task, and most programs have none. So the signal
 * is taken on a stack of its own, and if the address lies in the guard of the task
 * that runs, the task and its stack are named first. What was to happen with the
 * signal otherwise (a core, a sanitizer's report) happens then.
 *
 * In the handler nothing may be called that is not async-signal-safe; the frames at the
 * end are the one exception, and come when all else has been written.
 */
#include "runtime/overflow.h"
#include "base/symbol.h"
#include "runtime/worker.h"
#include <execinfo.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES = 64, OURS = 4 /* of the handler, and the one that calls it */ };

static struct sigaction before_segv, before_bus;

/* A line, put together without stdio. */
struct line {
    char text[512];
    size_t n;
};

static void put(struct line *l, const char *s) {
    size_t n = strlen(s);
    if (n > sizeof(l->text) - l->n)
        n = sizeof(l->text) - l->n;
    memcpy(l->text + l->n, s, n);
    l->n += n;
}

static void put_number(struct line *l, uint64_t v) {
    char digits[21], *at = digits + sizeof(digits) - 1;
    *at = '\0';
    do
        *--at = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    put(l, at);
}

static void report(const gee_task *t) {
    struct line l = {.n = 0};
    put(&l, "gee: stack overflow: task ");
    put_number(&l, t->id);
    put(&l, " \"");
    put(&l, t->name);
    put(&l, "\" on worker ");
    put_number(&l, (uint64_t)t->worker->index);
    put(&l, ", created at ");
    put(&l, t->created_at);
    put(&l, ", has used up its stack of ");
    put_number(&l, t->worker->rt->stack_size / 1024);
    put(&l, " KiB (GEE_STACK_KIB, or stack_kib of gee_run)\n");
    if (write(STDERR_FILENO, l.text, l.n) < 0)
        return;
    void *frames[FRAMES];
    int n = gee_frames_take(frames, FRAMES), kept = 0;
    for (int i = OURS; i < n; i++) /* of a function that calls itself, once */
        if (i == OURS || frames[i] != frames[i - 1])
            frames[kept++] = frames[i];
    backtrace_symbols_fd(frames, kept, STDERR_FILENO);
}

static void on_fault(int signum, siginfo_t *info, void *context) {
    gee_task *t = gee_task_self();
    (void)context;
    if (t && gee_stack_is_guard(&t->stack, info->si_addr))
        report(t);
    /* The instruction is tried again, and faults again, for whoever was there before; but a signal
     * that somebody has sent is of none, and is sent again. */
    sigaction(signum, signum == SIGBUS ? &before_bus : &before_segv, NULL);
    if (info->si_code <= 0)
        raise(signum);
}

void gee_overflow_watch(void) {
    struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGSEGV, &sa, &before_segv);
    sigaction(SIGBUS, &sa, &before_bus);
}

void gee_overflow_unwatch(void) {
    sigaction(SIGSEGV, &before_segv, NULL);
    sigaction(SIGBUS, &before_bus, NULL);
}

void gee_overflow_enter(gee_worker *w) {
    stack_t ss = {.ss_sp = w->signal_stack, .ss_size = GEE_SIGNAL_STACK};
    w->signal_stack_on = sigaltstack(&ss, &w->signal_stack_before) == 0;
}

void gee_overflow_leave(gee_worker *w) {
    if (w->signal_stack_on)
        sigaltstack(&w->signal_stack_before, NULL);
    w->signal_stack_on = false;
}
