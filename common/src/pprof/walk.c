/*
 * The stack of what a signal has interrupted, by its frame pointers.
 *
 * This runs in the handler: it calls nothing. All that it reads is on the stack that was
 * interrupted, between the stack pointer and that stack's end, which is mapped as long as
 * somebody runs on it. Which stack that is the stack pointer says: the task's, the thread's own
 * (of the loop, or of the pool), or one that we do not know, of which the first frame must do.
 *
 * A function without a frame pointer (in libc, say) costs its caller: the register is still that
 * of the caller, whose own return address is then the next that is found. If it holds something
 * else altogether, the walk ends there.
 */
#include "base/tools.h"
#include "pprof/cpu.h"
#include "pprof/stack.h"
#include "runtime/thread.h"
#include "runtime/worker.h"
#include <string.h>
#include <ucontext.h>

typedef struct registers {
    uintptr_t pc, sp, fp;
} registers;

GEE_TSAN_CARRIER static registers interrupted(const ucontext_t *uc) {
#if defined(__x86_64__)
    const greg_t *r = uc->uc_mcontext.gregs;
    return (registers){(uintptr_t)r[REG_RIP], (uintptr_t)r[REG_RSP], (uintptr_t)r[REG_RBP]};
#elif defined(__aarch64__)
    const mcontext_t *m = &uc->uc_mcontext;
    return (registers){m->pc, m->sp, m->regs[29]};
#else
    (void)uc;
    return (registers){0, 0, 0};
#endif
}

static bool is_within(uintptr_t sp, uintptr_t low, uintptr_t high) {
    return sp >= low && sp < high;
}

GEE_TSAN_CARRIER static void say_whose(gee_cpu_stack *out, uint64_t task, gee_site created_at,
                                       const char *name) {
    out->task = task;
    out->created_at = created_at;
    memcpy(out->name, name, sizeof(out->name));
    out->name[sizeof(out->name) - 1] = '\0'; /* it may have been interrupted while it was set */
}

GEE_TSAN_CARRIER static void walk(gee_cpu_stack *out, const registers *r, uintptr_t end) {
    /* It takes return addresses; this is the very instruction. */
    out->nframes = gee_prof_walk(r->pc + 1, r->fp, r->sp, end, out->frames, GEE_CPU_FRAMES);
}

GEE_TSAN_CARRIER void gee_cpu_walk(const void *ucontext, gee_cpu_stack *out) {
    registers r = interrupted(ucontext);
    const gee_worker *w = gee_worker_self();
    const gee_task *t = w ? w->current : NULL;
    const gee_thread *self = &gee_this_thread;
    gee_vg_defined(&r, sizeof(r));
    out->nframes = 1;
    out->frames[0] = r.pc;
    out->task = 0;
    out->created_at = NULL;
    memset(out->name, 0, sizeof(out->name));
    if (t)
        say_whose(out, t->id, t->created_at, t->name);
    else if (self->task)
        say_whose(out, self->task, self->created_at, self->name);
    if (t &&
        is_within(r.sp, (uintptr_t)gee_stack_low(&t->stack), (uintptr_t)gee_stack_top(&t->stack)))
        walk(out, &r, (uintptr_t)gee_stack_top(&t->stack));
    else if (is_within(r.sp, self->stack_low, self->stack_high))
        walk(out, &r, self->stack_high);
}
