/*
 * The time of a record: the clock's, read off the processor's counter.
 *
 * A request is stamped four times. To ask the clock takes 25 ns each time, to read the counter 10.
 * So the clock is asked now and then, and in between time passes as fast as it did between the
 * latest two times that it was asked:
 *   - a rate is believed for as long as it was measured, and at most a third of a second; then the
 * clock is asked again, and what was too fast is made up for by the next rate
 *   - the stamps of a worker never go back
 *   - a worker to whom another has told a later time goes on from there: what is woken never runs
 * before it was woken
 *
 * It is so where the kernel keeps its own time by that counter, which then runs evenly and alike on
 * all cores. Everywhere else, and in simulation, the clock is asked each time; and so it is for the
 * rest of a recording once the two have come apart, since the machine slept, or was moved.
 */
#ifndef GEE_TRACE_STAMP_H
#define GEE_TRACE_STAMP_H

#include "runtime/probe.h"

/* One worker's. */
typedef struct gee_stamps {
    uint64_t ticks, ns; /* the counter and the time when the clock was asked */
    uint64_t trusted;   /* for so many ticks from then on the rate is believed; 0: there is none */
    uint64_t rate;      /* ns a tick, by 2^32 */
    uint64_t least;     /* no stamp is before it */
    bool is_even;       /* the counter */
    const gee_worker *of; /* whose clock it is */
} gee_stamps;

/* On w's thread, as all the others. */
void gee_stamps_start(gee_stamps *s, const gee_worker *w);

static inline uint64_t gee_stamps_ticks(void) {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return 0;
#endif
}

static inline uint64_t gee_stamps_after(const gee_stamps *s, uint64_t ticks) {
    return s->ns + (ticks * s->rate >> 32);
}

/* The same, by the clock. */
uint64_t gee_stamps_ask(gee_stamps *s);

/* The time now. */
static inline uint64_t gee_stamp(gee_stamps *s) {
    uint64_t passed = gee_stamps_ticks() - s->ticks;
    return passed < s->trusted ? gee_stamps_after(s, passed) : gee_stamps_ask(s);
}

/* The same; but it is ns at least, a stamp of another worker's, and so are those that follow. */
static inline uint64_t gee_stamp_not_before(gee_stamps *s, uint64_t ns) {
    uint64_t now_ns = gee_stamp(s);
    if (now_ns >= ns)
        return now_ns;
    s->ns += ns - now_ns;
    s->least = ns;
    return ns;
}

#endif
