/*
 * Chapter 4, racy-dump: a task on another worker has waited, in first(), and has gone on. While it
 * works all tasks are dumped. It works on until the dump waits for it, if it does; and then it
 * waits again, in second(), where it can be seen. Behind the dump two tasks on two workers try to
 * run at the same time. The same source is linked over the broken variant, the fixed one and each
 * decoy.
 */
#include "t_turn.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HAS_GONE_ON = 1, IS_LOOKED_FOR };

struct scene {
    t_turn turn;
    gee_chan *never; /* until it is over */
    gee_waitgroup over;
};

/* What was on the stack here stays there until something else comes as far down. */
__attribute__((noinline)) static void first(void) {
    volatile char room[16 * 1024];
    room[0] = 1;
    gee_sleep(NULL, 1);
    room[sizeof(room) - 1] = room[0];
}

__attribute__((noinline)) static void second(gee_chan *never) {
    gee_chan_recv(NULL, never, NULL);
}

static void works(gee_ctx *ctx, void *arg) {
    struct scene *s = arg;
    (void)ctx;
    first();
    t_turn_pass(&s->turn, HAS_GONE_ON);
    t_turn_await(&s->turn, IS_LOOKED_FOR);
    second(s->never);
    gee_waitgroup_done(&s->over);
}

/* Runs when the task that dumps lets others run. */
static void lets_it_go(gee_ctx *ctx, void *arg) {
    struct scene *s = arg;
    (void)ctx;
    t_turn_pass(&s->turn, IS_LOOKED_FOR);
    gee_waitgroup_done(&s->over);
}

/* Of the traceback of all: is the task called "works" where it waits? */
static bool is_where_it_is(const char *text) {
    const char *end = strstr(text, "\n# \"works\""), *task = text;
    for (const char *next; end && (next = strstr(task, "\n\n")) != NULL && next < end;)
        task = next + 2;
    const char *in = end ? strstr(task, "\nsecond(...)\n") : NULL;
    const char *of = in ? strstr(in, "\nworks(...)\n") : NULL;
    return of && of < end;
}

static bool dump(char *text, size_t size) {
    char path[] = "/tmp/gee-dump-XXXXXX";
    int fd = mkstemp(path);
    size_t n = 0;
    if (fd >= 0 && gee_pprof_save("goroutine", 2, path) == 0) {
        ssize_t got = read(fd, text, size - 1);
        n = got > 0 ? (size_t)got : 0;
    }
    text[n] = '\0';
    close(fd);
    unlink(path);
    return is_where_it_is(text);
}

/* --- do two workers still work at the same time? --- */

struct meeting {
    _Atomic int there, met;
    gee_waitgroup over;
};

/* Waits for the other one, and lets nobody else run meanwhile. */
static void meets(gee_ctx *ctx, void *arg) {
    struct meeting *m = arg;
    (void)ctx;
    m->there++;
    for (int ms = 0; ms < 2500 && m->there < 2; ms++)
        usleep(1000);
    m->met += m->there == 2;
    gee_waitgroup_done(&m->over);
}

static int at_a_time(gee_ctx *ctx) {
    struct meeting m = {.there = 0};
    gee_waitgroup_add(&m.over, 2);
    gee_go_on(0, ctx, meets, &m);
    gee_go_on(1, ctx, meets, &m);
    gee_waitgroup_wait(NULL, &m.over);
    return m.met == 2 ? 2 : 1;
}

static void racy_dump(gee_ctx *ctx, void *arg) {
    static char text[64 * 1024];
    struct scene s = {.never = gee_chan_new(0, 0)};
    (void)arg;
    t_turn_init(&s.turn);
    gee_waitgroup_add(&s.over, 2);
    gee_go_on(1, ctx, works, &s);
    t_turn_await(&s.turn, HAS_GONE_ON);
    gee_go(ctx, lets_it_go, &s);
    bool whole = dump(text, sizeof(text));
    int n = at_a_time(ctx);
    gee_chan_close(s.never);
    gee_waitgroup_wait(NULL, &s.over);
    gee_chan_unref(s.never);
    if (!whole || n != 2)
        T_FAIL("racy-dump: a task that has gone on is %s; behind the dump, of two workers %d can "
               "work at a time",
               whole ? "seen where it is" : "not seen where it is", n);
}

static void test_racy_dump(void **state) {
    (void)state;
    t_real(2, racy_dump, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_racy_dump),
};

T_MAIN(tests)
