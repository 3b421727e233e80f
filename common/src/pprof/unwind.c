/*
 * Stacks that frame pointers do not lead through.
 *
 * Libraries are built without them: of a server's time most is in calls of libc, out of libuv, and
 * who wanted them could not be said. Tables that lie beside the code (.eh_frame) say how to go on
 * from each instruction; but to read them takes memory, locks and time, and so it is not for
 * a handler. There the stack is copied, as far as there is room, and here, on a thread that
 * has all of this, elfutils walks through the copy.
 */
#include "base/symbol.h"
#include "pprof/cpu.h"
#include <elfutils/libdwfl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct gee_cpu_unwinder {
    Dwfl *dwfl;
    const gee_cpu_stack *from;
    gee_cpu_stack *to;
};

static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread_arg) {
    (void)dwfl;
    if (*thread_arg != NULL)
        return 0;
    *thread_arg = arg;
    return getpid();
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *arg, void **thread_arg) {
    (void)dwfl;
    (void)tid;
    *thread_arg = arg;
    return true;
}

static bool memory_read(Dwfl *dwfl, Dwarf_Addr addr, Dwarf_Word *result, void *arg) {
    const gee_cpu_stack *s = ((gee_cpu_unwinder *)arg)->from;
    uintptr_t offset = (uintptr_t)addr - s->sp;
    (void)dwfl;
    if (offset % sizeof(uintptr_t) != 0 || offset / sizeof(uintptr_t) >= (uintptr_t)s->nwords)
        return false;
    *result = s->words[offset / sizeof(uintptr_t)];
    return true;
}

/* By their numbers in DWARF. The others are not known: who needs them is where it ends. */
static bool set_registers(Dwfl_Thread *thread, void *arg) {
    const gee_cpu_stack *s = ((gee_cpu_unwinder *)arg)->from;
    Dwarf_Word fp = s->fp, sp = s->sp, pc = s->frames[0];
#if defined(__aarch64__)
    Dwarf_Word lr = s->lr;
    dwfl_thread_state_register_pc(thread, pc);
    return dwfl_thread_state_registers(thread, 29, 1, &fp) &&
           dwfl_thread_state_registers(thread, 30, 1, &lr) &&
           dwfl_thread_state_registers(thread, 31, 1, &sp);
#else
    return dwfl_thread_state_registers(thread, 6, 1, &fp) &&
           dwfl_thread_state_registers(thread, 7, 1, &sp) &&
           dwfl_thread_state_registers(thread, 16, 1, &pc);
#endif
}

static int on_frame(Dwfl_Frame *frame, void *arg) {
    gee_cpu_stack *to = ((gee_cpu_unwinder *)arg)->to;
    Dwarf_Addr pc;
    bool is_interrupted;
    if (to->nframes == GEE_CPU_FRAMES || !dwfl_frame_pc(frame, &pc, &is_interrupted) || pc == 0)
        return DWARF_CB_ABORT;
    to->frames[to->nframes++] = (uintptr_t)pc - !is_interrupted;
    return DWARF_CB_OK;
}

gee_cpu_unwinder *gee_cpu_unwinder_open(void) {
    static const Dwfl_Thread_Callbacks callbacks = {
        .next_thread = next_thread,
        .get_thread = get_thread,
        .memory_read = memory_read,
        .set_initial_registers = set_registers,
    };
    gee_cpu_unwinder *u = calloc(1, sizeof(*u));
    if (u == NULL)
        return NULL;
    u->dwfl = gee_symbols_open();
    if (u->dwfl && dwfl_attach_state(u->dwfl, NULL, getpid(), &callbacks, u))
        return u;
    gee_cpu_unwinder_close(u);
    return NULL;
}

void gee_cpu_unwind(gee_cpu_unwinder *u, const gee_cpu_stack *from, gee_cpu_stack *to) {
    memcpy(to, from, offsetof(gee_cpu_stack, frames));
    to->nframes = 0;
    u->from = from;
    u->to = to;
    dwfl_getthread_frames(u->dwfl, getpid(), on_frame, u); /* what it has found before an error */
    if (to->nframes > 1) {
        /* Below a task's entry there is Boost's trampoline, which frame pointers do not lead to. */
        if (to->task && !gee_cpu_is_ours(to->frames[to->nframes - 1]))
            to->nframes--;
        return;
    }
    to->nframes = from->nframes;
    memcpy(to->frames, from->frames, (size_t)from->nframes * sizeof(to->frames[0]));
}

void gee_cpu_unwinder_close(gee_cpu_unwinder *u) {
    if (u)
        gee_symbols_close(u->dwfl);
    free(u);
}
