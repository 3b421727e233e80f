#include "runtime/probe.h"
#include "base/tools.h"

void gee_probe_add(gee_worker *w, gee_probe *p) {
    gee_worker_check(w, "a probe");
    p->next = w->probe;
    w->probe = p;
}

void gee_probe_remove(gee_worker *w, gee_probe *p) {
    gee_worker_check(w, "a probe");
    gee_probe **at = &w->probe;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
}

/* Most often there is one, and then this is a jump to it. */
#define CALL(fn, ...)                  \
    do {                               \
        gee_probe *p = w->probe;       \
        gee_tsan_ignore_begin();       \
        for (; p->next; p = p->next)   \
            if (p->fn)                 \
                p->fn(p, __VA_ARGS__); \
        if (p->fn)                     \
            p->fn(p, __VA_ARGS__);     \
        gee_tsan_ignore_end();         \
    } while (0)

void gee_probe_ready(gee_worker *w, gee_task *t) {
    CALL(ready, w, t);
}

void gee_probe_begin(gee_worker *w, gee_task *t) {
    CALL(begin, t);
}

void gee_probe_end(gee_worker *w, gee_task *t) {
    CALL(end, t);
}

void gee_probe_request(gee_worker *w, uint64_t start_ns, int status) {
    CALL(request, w->current, start_ns, status);
}
