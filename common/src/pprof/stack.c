/*
 * Walking a parked task's stack by its frame pointers: everything here is compiled with
 * them. A frame has the caller's frame pointer, and above it the return address.
 *
 * Where to begin is among the registers that the switch has pushed (Boost.Context). On x86-64
 * these are, from the saved stack pointer up, 0x30 bytes of others, the frame pointer and the
 * address to go on at; since Boost 1.80 there are 8 bytes more in front. Which of the two it is can
 * be seen: the frame pointer points into the stack, the address does not. What is walked is
 * memory of the task's own stack and nothing else, whatever the frames say.
 *
 * A return address is that of the next instruction, which may be another line, or even another
 * function; one less is within the call.
 */
#include "pprof/stack.h"
#include "base/tools.h"
#include "runtime/worker.h"

#define GEE_NOT_LOOKED_AT __attribute__((no_sanitize("address", "thread", "undefined")))

GEE_NOT_LOOKED_AT
int gee_prof_walk(uintptr_t pc, uintptr_t fp, uintptr_t low, uintptr_t high, uintptr_t *pcs,
                  int max) {
    int n = 0;
    if (max > 0)
        pcs[n++] = pc - 1;
    while (n < max && fp >= low && fp + 2 * sizeof(uintptr_t) <= high &&
           fp % sizeof(uintptr_t) == 0) {
        uintptr_t frame[2] = {((const uintptr_t *)fp)[0], ((const uintptr_t *)fp)[1]};
        gee_vg_defined(frame, sizeof(frame)); /* what is no frame may be anything */
        /* The outermost one was called by nobody: its caller's frame is not on this stack. */
        if (frame[0] <= fp || frame[0] >= high || frame[1] == 0)
            break;
        pcs[n++] = frame[1] - 1;
        fp = frame[0];
    }
    return n;
}

GEE_NOT_LOOKED_AT
static bool registers(const gee_task *t, uintptr_t low, uintptr_t high, uintptr_t *pc,
                      uintptr_t *fp) {
#if defined(__x86_64__)
    const uintptr_t *at = (const uintptr_t *)t->fctx + 6;
    if (at[1] >= low && at[1] < high)
        at++;
    *fp = at[0];
    *pc = at[1];
#elif defined(__aarch64__)
    const uintptr_t *at = (const uintptr_t *)t->fctx + 18;
    *fp = at[0];
    *pc = at[2];
#else
    (void)t;
    *fp = *pc = 0;
#endif
    return *fp >= low && *fp < high;
}

int gee_prof_stack_of(const gee_task *t, uintptr_t *pcs, int max) {
    uintptr_t pc, fp, low = (uintptr_t)t->fctx;
    if (t->stack.base == NULL)
        return 0;
    uintptr_t high = (uintptr_t)gee_stack_top(&t->stack);
    if (low < (uintptr_t)gee_stack_low(&t->stack) || low + 20 * sizeof(uintptr_t) > high)
        return 0;
    if (!registers(t, low, high, &pc, &fp))
        return 0;
    return gee_prof_walk(pc, fp, low, high, pcs, max);
}

size_t gee_prof_stack_bytes(const gee_task *t) {
    uintptr_t at = (uintptr_t)t->fctx, low = (uintptr_t)gee_stack_low(&t->stack);
    if (t->stack.base == NULL || at < low || at >= (uintptr_t)gee_stack_top(&t->stack))
        return 0;
    return (uintptr_t)gee_stack_top(&t->stack) + GEE_STACK_END - at;
}
