/* Probes: what they are told, in order; that several see the same; and none once it is removed. */
#include "runtime/probe.h"
#include "t.h"
#include <string.h>

/* A letter for each call, of the tasks that are named like this. */
struct log {
    gee_probe probe;
    const char *name;
    char text[64];
    size_t n;
};

static void note(gee_probe *p, const gee_task *t, char letter) {
    struct log *log = (struct log *)p;
    if (strcmp(t->name, log->name) == 0 && log->n + 1 < sizeof(log->text))
        log->text[log->n++] = letter;
}

static void ready(gee_probe *p, gee_worker *by, gee_task *t) {
    note(p, t, by->current ? 'r' : 'R'); /* R: by the loop */
}

static void begin(gee_probe *p, gee_task *t) {
    note(p, t, t->reason == GEE_WAIT_NONE ? 'b' : 'B'); /* B: it was parked */
}

static void end(gee_probe *p, gee_task *t) {
    note(p, t, t->state == GEE_TASK_DEAD ? 'd' : t->state == GEE_TASK_WAITING ? 'w' : 'y');
}

static struct log log_of(const char *name) {
    return (struct log){.probe = {NULL, ready, begin, end, NULL}, .name = name};
}

static void works(gee_ctx *ctx, void *ch) {
    gee_yield();
    gee_sleep(ctx, 1);
    gee_chan_recv(ctx, ch, NULL);
}

static void probe_body(gee_ctx *ctx, void *arg) {
    gee_worker *w = gee_worker_self();
    gee_chan *ch = gee_chan_new(0, 0);
    struct log one = log_of("works"), two = log_of("works"), other = log_of("nobody");
    (void)arg;
    gee_probe_add(w, &one.probe);
    gee_probe_add(w, &other.probe);
    gee_go(ctx, works, ch);
    gee_sleep(ctx, 5);
    gee_probe_add(w, &two.probe);
    gee_chan_send(ctx, ch, NULL);
    gee_probe_remove(w, &one.probe);
    gee_sleep(ctx, 5);
    gee_probe_remove(w, &two.probe);
    gee_probe_remove(w, &other.probe);
    T_CHECK(w->probe == NULL);
    gee_go(ctx, works, ch); /* nobody looks on */
    gee_sleep(ctx, 5);
    gee_chan_send(ctx, ch, NULL);
    /* It is started, yields, sleeps, is woken by a timer, waits, and is woken by this task. */
    T_STR(one.text, "rbybwRBwr");
    T_STR(two.text, "rBd");
    T_STR(other.text, "");
    gee_chan_unref(ch);
}

static void test_probe(void **state) {
    (void)state;
    t_sim(probe_body, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_probe),
};

T_MAIN(tests)
