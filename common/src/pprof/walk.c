/*
 * The stack of what a signal has interrupted, by its frame pointers.
 *
 * This runs in the handler: it calls nothing. All that it reads is on the stack that was
 * interrupted, between the stack pointer and that stack's end, which is mapped as long as
 * somebody runs on it. Which stack that is the stack pointer says: the task's, the thread's own
 * (of the loop, or of the pool), or one that we do not know, of which the first frame must do.
 * A worker's current task is set before its stack is entered and cleared after it was left, and
 * only then is either freed: so whenever the handler comes, the task that it finds is one.
 *
 * A library is built without frame pointers. Where such a function has left the register alone it
 * is its caller's, whose own return address is then the first that is found: one frame is
 * missing. Where it holds something else, the walk ends, or goes astray. So of a walk that has met
 * code of others the stack is copied, for somebody to look at who has more time (unwind.c).
 */
#include "base/tools.h"
#include "pprof/cpu.h"
#include "pprof/stack.h"
#include "runtime/thread.h"
#include "runtime/worker.h"
#include <link.h>
#include <string.h>
#include <ucontext.h>

typedef struct registers {
    uintptr_t pc, sp, fp, lr;
} registers;

GEE_TSAN_CARRIER static registers interrupted(const ucontext_t *uc) {
#if defined(__x86_64__)
    const greg_t *r = uc->uc_mcontext.gregs;
    return (registers){(uintptr_t)r[REG_RIP], (uintptr_t)r[REG_RSP], (uintptr_t)r[REG_RBP], 0};
#elif defined(__aarch64__)
    const mcontext_t *m = &uc->uc_mcontext;
    return (registers){m->pc, m->sp, m->regs[29], m->regs[30]};
#else
    (void)uc;
    return (registers){0};
#endif
}

static bool is_within(uintptr_t at, uintptr_t low, uintptr_t high) {
    return at >= low && at < high;
}

/* --- which code has frame pointers: that of the program or library that this is a part of --- */

static uintptr_t text_low, text_high;

static int look_at_module(struct dl_phdr_info *info, size_t size, void *arg) {
    (void)size;
    (void)arg;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t low = info->dlpi_addr + p->p_vaddr;
        if (p->p_type == PT_LOAD && is_within((uintptr_t)gee_cpu_walk, low, low + p->p_memsz)) {
            text_low = low;
            text_high = low + p->p_memsz;
            return 1;
        }
    }
    return 0;
}

void gee_cpu_walk_init(void) {
    dl_iterate_phdr(look_at_module, NULL);
}

bool gee_cpu_is_ours(uintptr_t pc) {
    return is_within(pc, text_low, text_high);
}

/* --- in the handler --- */

GEE_TSAN_CARRIER static void say_whose(gee_cpu_stack *out, uint64_t task, gee_site created_at,
                                       const char *name) {
    out->task = task;
    out->created_at = created_at;
    memcpy(out->name, name, sizeof(out->name));
    out->name[sizeof(out->name) - 1] = '\0'; /* it may have been interrupted while it was set */
}

/* Word by word: there may be red zones of ASan's, and what memcheck has never seen written. */
__attribute__((no_sanitize("address", "thread"))) static void copy(gee_cpu_stack *out,
                                                                   const registers *r,
                                                                   uintptr_t end) {
    const volatile uintptr_t *from = (const volatile uintptr_t *)r->sp;
    uintptr_t room = (end - r->sp) / sizeof(*from);
    if (r->sp % sizeof(*from) != 0)
        return;
    out->sp = r->sp;
    out->fp = r->fp;
    out->lr = r->lr;
    out->nwords = room < GEE_CPU_WORDS ? (int)room : GEE_CPU_WORDS;
    for (int i = 0; i < out->nwords; i++)
        out->words[i] = from[i];
    gee_vg_defined(out->words, (size_t)out->nwords * sizeof(out->words[0]));
}

GEE_TSAN_CARRIER static void walk(gee_cpu_stack *out, const registers *r, uintptr_t end) {
    /* It takes return addresses; this is the very instruction. */
    out->nframes = gee_prof_walk(r->pc + 1, r->fp, r->sp, end, out->frames, GEE_CPU_FRAMES);
    int ours = 0; /* and what they say of their callers is so */
    while (ours < out->nframes && gee_cpu_is_ours(out->frames[ours]))
        ours++;
    if (out->nframes == 1 || ours < out->nframes)
        copy(out, r, end);
}

GEE_TSAN_CARRIER void gee_cpu_walk(const void *ucontext, gee_cpu_stack *out) {
    registers r = interrupted(ucontext);
    const gee_worker *w = gee_worker_self();
    const gee_task *t = w ? w->current : NULL;
    const gee_thread *self = &gee_this_thread;
    gee_vg_defined(&r, sizeof(r));
    out->nframes = 1;
    out->nwords = 0;
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
