#include "trace/stamp.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Some milliseconds, and a third of a second, at 3 GHz. */
#define SHORT (UINT64_C(1) << 24)
#define LONG  (UINT64_C(1) << 30)
/* Of a counter by which a kernel keeps its time, from 16 GHz to 250 MHz, by 2^32: what is outside
 * is no rate, but a counter that has stood still while time passed, or gone on while none did. */
#define LEAST_RATE (UINT64_C(1) << 28)
#define MOST_RATE  (UINT64_C(1) << 34)
/* Who takes longer to ask the clock was interrupted, and does not know when. */
enum { AT_ONCE = 1 << 13 };

#define CLOCKSOURCE "/sys/devices/system/clocksource/clocksource0/current_clocksource"

/* Does the kernel keep its time by the counter? */
static bool is_even(void) {
    char name[16];
    int fd = gee_stamps_ticks() == 0 ? -1 : open(CLOCKSOURCE, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, name, sizeof(name));
    close(fd);
    return n == 4 && memcmp(name, "tsc\n", 4) == 0;
}

void gee_stamps_start(gee_stamps *s, const gee_worker *w) {
    *s = (gee_stamps){.is_even = !w->rt->sim && is_even(), .of = w};
    s->ticks = gee_stamps_ticks();
    s->ns = gee_probe_now(w);
}

static uint64_t not_before(gee_stamps *s, uint64_t least, uint64_t ns) {
    least = least > s->least ? least : s->least;
    return s->least = ns > least ? ns : least;
}

/* The clock said ns at `now`, by the counter. */
static void measure(gee_stamps *s, uint64_t now, uint64_t ns) {
    uint64_t passed = now - s->ticks;
    double rate = (double)(ns - s->ns) / (double)passed * 0x1p32;
    s->is_even = rate >= LEAST_RATE && rate < MOST_RATE;
    s->rate = s->is_even ? (uint64_t)rate : 0;
    s->trusted = !s->is_even ? 0 : passed < LONG ? passed : LONG;
}

uint64_t gee_stamps_ask(gee_stamps *s) {
    if (!s->is_even)
        return not_before(s, 0, gee_probe_now(s->of));
    uint64_t before = gee_stamps_ticks(), ns = gee_probe_now(s->of), after = gee_stamps_ticks();
    uint64_t now = before + (after - before) / 2, passed = now - s->ticks;
    uint64_t latest = gee_stamps_after(s, passed < s->trusted ? passed : s->trusted);
    uint64_t stamp = not_before(s, latest, ns);
    if (passed >= SHORT && after - before < AT_ONCE && ns > s->ns) {
        measure(s, now, ns);
        s->ticks = now;
        s->ns = stamp;
    }
    return stamp;
}
