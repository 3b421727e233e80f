#include "trace/stamp.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Some milliseconds, and a third of a second, at 3 GHz. */
#define SHORT (UINT64_C(1) << 24)
#define LONG  (UINT64_C(1) << 30)
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

uint64_t gee_stamps_ask(gee_stamps *s) {
    if (!s->is_even)
        return gee_probe_now(s->of);
    uint64_t before = gee_stamps_ticks(), ns = gee_probe_now(s->of), after = gee_stamps_ticks();
    uint64_t now = before + (after - before) / 2, passed = now - s->ticks;
    uint64_t latest = gee_stamps_after(s, passed < s->trusted ? passed : s->trusted);
    latest = latest > s->least ? latest : s->least; /* no stamp was later */
    if (passed >= SHORT && after - before < AT_ONCE && ns > s->ns) {
        s->rate = (uint64_t)((double)(ns - s->ns) / (double)passed * 0x1p32);
        s->trusted = passed < LONG ? passed : LONG;
        s->ticks = now;
        s->ns = ns > latest ? ns : latest;
    }
    return s->least = ns > latest ? ns : latest;
}
