/* The real driver: libuv waits, the clock is the machine's, tasks run in order. */
#include "runtime/transport.h"
#include <time.h>

/* Of sockets whose clients have gone: in a turn, as they die, and behind; and how long all of them
 * are put off while more die. */
enum { CLOSE_AT_ONCE = 4, CLOSE_LATER = 8, PUT_OFF_NS = 50 * 1000 * 1000 };

static uint64_t real_now(gee_worker *w) {
    return w->now_ns = uv_hrtime();
}

static uint64_t real_wall(void) {
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void on_alarm(uv_timer_t *alarm) {
    ((gee_worker *)alarm->loop->data)->alarm_ms = UINT64_MAX;
}

/* Rounded up: libuv counts in milliseconds, and a timer may not fire early. */
static void set_alarm(gee_worker *w) {
    uint64_t next = gee_timers_next(&w->timers);
    uint64_t ms = next == UINT64_MAX ? next : (next + 999999) / 1000000;
    if (ms == w->alarm_ms)
        return;
    w->alarm_ms = ms;
    if (ms == UINT64_MAX) {
        uv_timer_stop(&w->alarm);
        return;
    }
    uint64_t now = uv_now(&w->loop);
    uv_timer_start(&w->alarm, on_alarm, ms > now ? ms - now : 0, 0);
}

/*
 * libuv before 1.45 runs timers, and every libuv runs pending callbacks, before
 * it polls: one of them may have made a task runnable, or been the alarm itself.
 * Then the poll must not wait.
 */
static void before_poll(uv_prepare_t *prepare) {
    gee_worker *w = prepare->loop->data;
    bool due = w->alarm_ms == UINT64_MAX && w->timers.n > 0;
    if (w->runq_len > 0 || w->deferred || w->dead || due)
        uv_stop(&w->loop); /* until this uv_run returns */
}

/*
 * With its first stream a loop opens a descriptor that it keeps (libuv's reserve for an
 * accept of its own). Opened here, it is not taken for something a connection left.
 */
static void open_reserve(gee_worker *w) {
    uv_tcp_t first;
    if (uv_tcp_init(&w->loop, &first) == 0)
        uv_close((uv_handle_t *)&first, NULL);
    uv_run(&w->loop, UV_RUN_NOWAIT); /* what is on this stack is closed when it returns */
}

/* libuv has looked at the clock behind its poll; only if a millisecond has passed do we as well. */
void gee_worker_awake(gee_worker *w) {
    if (!w->rt->sim && uv_now(&w->loop) * 1000000 > w->now_ns)
        real_now(w);
}

static int real_start(gee_worker *w) {
    open_reserve(w);
    uv_prepare_init(&w->loop, &w->prepare);
    return uv_prepare_start(&w->prepare, before_poll);
}

/* Who has just lost many clients loses more, as a rule: what is left of their tasks comes first. */
static size_t may_close(const gee_worker *w) {
    bool many = w->died > CLOSE_AT_ONCE;
    if (many && w->now_ns - w->dead_since_ns < PUT_OFF_NS)
        return 0;
    return CLOSE_LATER + w->ndead / 64;
}

static int real_poll(gee_worker *w) {
    if (w->dead)
        gee_io_close_dead(w, may_close(w));
    w->died = 0;
    w->closes = CLOSE_AT_ONCE;
    set_alarm(w);
    uv_run(&w->loop, UV_RUN_ONCE);
    gee_timers_fire(w, &w->timers, real_now(w));
    return 0;
}

static gee_task *first(gee_worker *w) {
    return gee_container(w->runq.next, gee_task, link);
}

const gee_driver gee_driver_real = {real_start, real_now, real_poll, first, real_wall};
