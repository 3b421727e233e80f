/* Channels: what Go documents for each operation in each state, order, parking. */
#include "t.h"
#include <stdatomic.h>
#include <string.h>

/* One operation in a task of its own. */
struct op {
    gee_ctx *ctx; /* of the operation; NULL: the task's */
    gee_chan *ch;
    int v;
    uint64_t at_ms; /* when it returned */
    atomic_int rc;  /* written last */
};

enum { PARKED = 1 };

static void sends(gee_ctx *ctx, void *arg) {
    struct op *o = arg;
    int rc = gee_chan_send(o->ctx ? o->ctx : ctx, o->ch, &o->v);
    o->at_ms = gee_now_ms();
    o->rc = rc;
}

static void receives(gee_ctx *ctx, void *arg) {
    struct op *o = arg;
    int rc = gee_chan_recv(o->ctx ? o->ctx : ctx, o->ch, &o->v);
    o->at_ms = gee_now_ms();
    o->rc = rc;
}

/* Virtual time moves once nobody can run: after this everyone has parked or ended. */
static void settle(gee_ctx *ctx) {
    gee_sleep(ctx, 1);
}

static void start(gee_ctx *ctx, gee_task_fn fn, struct op *o) {
    o->rc = PARKED;
    if (gee_go(ctx, fn, o) != 0)
        t_fail(__FILE__, __LINE__, "gee_go");
    settle(ctx);
}

/* --- operation by state --- */

static const struct state {
    const char *name;
    int cap; /* -1: the NULL channel */
    int fill;
    bool closed;
    int send, recv; /* UV_EAGAIN: parks */
    int got, close;
} states[] = {
    {"nil", -1, 0, false, UV_EAGAIN, UV_EAGAIN, -1, UV_EINVAL},
    {"unbuffered", 0, 0, false, UV_EAGAIN, UV_EAGAIN, -1, 0},
    {"unbuffered closed", 0, 0, true, UV_EPIPE, UV_EOF, 0, UV_EALREADY},
    {"empty", 2, 0, false, 0, UV_EAGAIN, -1, 0},
    {"half full", 2, 1, false, 0, 0, 1, 0},
    {"full", 2, 2, false, UV_EAGAIN, 0, 1, 0},
    {"closed half full", 2, 1, true, UV_EPIPE, 0, 1, UV_EALREADY},
    {"closed full", 2, 2, true, UV_EPIPE, 0, 1, UV_EALREADY},
    {"closed empty", 2, 0, true, UV_EPIPE, UV_EOF, 0, UV_EALREADY},
};

static gee_chan *in_state(const struct state *s) {
    if (s->cap < 0)
        return NULL;
    gee_chan *ch = gee_chan_new(sizeof(int), (size_t)s->cap);
    for (int v = 1; v <= s->fill; v++)
        gee_chan_try_send(ch, &v);
    if (s->closed)
        gee_chan_close(ch);
    return ch;
}

enum { TRY_SEND, TRY_RECV, SEND, RECV, CLOSE, OPS };

static int operate(gee_ctx *ctx, gee_chan *ch, int op, int *v) {
    switch (op) {
    case TRY_SEND:
        return gee_chan_try_send(ch, v);
    case TRY_RECV:
        return gee_chan_try_recv(ch, v);
    case SEND:
        return gee_chan_send(ctx, ch, v);
    case RECV:
        return gee_chan_recv(ctx, ch, v);
    default:
        return gee_chan_close(ch);
    }
}

static int expected(const struct state *s, int op) {
    int rc = op == CLOSE ? s->close : op == SEND || op == TRY_SEND ? s->send : s->recv;
    return rc == UV_EAGAIN && (op == SEND || op == RECV) ? UV_ETIMEDOUT : rc;
}

static void each_state(gee_ctx *ctx, void *arg) {
    (void)arg;
    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
        const struct state *s = &states[i];
        for (int op = 0; op < OPS; op++) {
            gee_chan *ch = in_state(s);
            gee_ctx *soon = gee_ctx_with_timeout(ctx, 10);
            uint64_t at = gee_now_ms();
            int v = -1, want = expected(s, op);
            int rc = operate(soon, ch, op, &v);
            if (rc != want)
                T_FAIL("%s, op %d: %s, not %s", s->name, op, t_err(rc), t_err(want));
            if ((op == RECV || op == TRY_RECV) && v != s->got)
                T_FAIL("%s, op %d: got %d, not %d", s->name, op, v, s->got);
            T_EQ(gee_now_ms() - at, rc == UV_ETIMEDOUT ? 10 : 0);
            T_EQ(gee_chan_cap(ch), s->cap < 0 ? 0 : s->cap);
            int moved = rc != 0 || op == CLOSE ? 0 : op == SEND || op == TRY_SEND ? 1 : -1;
            T_EQ(gee_chan_len(ch), s->fill + moved);
            gee_ctx_end(soon);
            gee_chan_unref(ch);
        }
    }
}

static void test_states(void **state) {
    (void)state;
    t_sim(each_state, NULL);
}

/* --- order --- */

static void queues_are_fifo(gee_ctx *ctx, void *arg) {
    static struct op o[4];
    (void)arg;
    gee_chan *ch = gee_chan_new(sizeof(int), 0);
    for (int i = 0; i < 4; i++) {
        o[i] = (struct op){.ch = ch, .v = i};
        start(ctx, sends, &o[i]);
        T_RC(o[i].rc, PARKED);
    }
    for (int i = 0, v; i < 4; i++) {
        T_RC(gee_chan_recv(ctx, ch, &v), 0);
        T_EQ(v, i);
        settle(ctx); /* a send ends with its receive, not before and not later */
        for (int k = 0; k < 4; k++)
            T_RC(o[k].rc, k <= i ? 0 : PARKED);
    }
    for (int i = 0; i < 4; i++) {
        o[i] = (struct op){.ch = ch, .v = -1};
        start(ctx, receives, &o[i]);
    }
    for (int i = 0; i < 4; i++)
        T_RC(gee_chan_try_send(ch, &i), 0);
    settle(ctx);
    for (int i = 0; i < 4; i++)
        T_EQ(o[i].v, i);
    T_EQ(gee_chan_len(ch), 0);
    gee_chan_unref(ch);
}

/* Parked senders come after what is in the ring, also while the ring wraps. */
static void buffer_is_fifo(gee_ctx *ctx, void *arg) {
    static struct op o[5];
    (void)arg;
    gee_chan *ch = gee_chan_new(sizeof(int), 3);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 5; i++) {
            o[i] = (struct op){.ch = ch, .v = 10 * round + i};
            start(ctx, sends, &o[i]);
            T_RC(o[i].rc, i < 3 ? 0 : PARKED);
        }
        T_EQ(gee_chan_len(ch), 3);
        for (int i = 0, v; i < 5; i++) {
            T_RC(gee_chan_try_recv(ch, i == 2 ? NULL : &v), 0); /* one is dropped */
            T_EQ(i == 2 ? 10 * round + 2 : v, 10 * round + i);
        }
        settle(ctx);
        T_RC(o[3].rc | o[4].rc, 0);
    }
    gee_chan_unref(ch);
}

static void test_order(void **state) {
    (void)state;
    t_sim(queues_are_fifo, NULL);
    t_sim(buffer_is_fifo, NULL);
}

/* --- elements --- */

struct big {
    int n;
    char text[300];
};

static void sends_big(gee_ctx *ctx, void *arg) {
    for (int i = 0; i < 5; i++) {
        struct big b = {.n = i};
        memset(b.text, 'a' + i, sizeof(b.text));
        gee_chan_send(ctx, arg, &b);
    }
    gee_chan_close(arg);
}

static void copies_big(gee_ctx *ctx, void *arg) {
    gee_chan *ch = gee_chan_new(sizeof(struct big), *(size_t *)arg);
    struct big b;
    T_RC(gee_go(ctx, sends_big, ch), 0);
    for (int i = 0; i < 5; i++) {
        T_RC(gee_chan_recv(ctx, ch, &b), 0);
        T_EQ(b.n, i);
        T_CHECK(b.text[0] == 'a' + i && b.text[299] == 'a' + i);
    }
    T_RC(gee_chan_recv(ctx, ch, &b), UV_EOF);
    T_CHECK(b.n == 0 && b.text[299] == 0);
    gee_chan_unref(ch);
}

/* Go's chan struct{}: there is nothing to point to. */
static void signals(gee_ctx *ctx, void *arg) {
    static struct op o[3];
    gee_chan *ch = gee_chan_new(0, *(size_t *)arg);
    T_RC(gee_chan_try_recv(ch, NULL), UV_EAGAIN);
    o[0] = (struct op){.ch = ch, .v = 7};
    o[1] = o[2] = (struct op){.ch = ch, .v = 8};
    start(ctx, receives, &o[0]);
    T_RC(gee_chan_send(ctx, ch, NULL), 0);
    start(ctx, sends, &o[1]);
    T_RC(gee_chan_recv(ctx, ch, NULL), 0);
    start(ctx, sends, &o[2]);
    int untouched = 9;
    T_RC(gee_chan_recv(ctx, ch, &untouched), 0);
    settle(ctx);
    T_CHECK(o[0].v == 7 && untouched == 9 && (o[0].rc | o[1].rc | o[2].rc) == 0);
    T_RC(gee_chan_close(ch), 0);
    T_RC(gee_chan_recv(ctx, ch, &untouched), UV_EOF);
    T_EQ(untouched, 9);
    gee_chan_unref(ch);
}

static void test_elements(void **state) {
    (void)state;
    for (size_t cap = 0; cap < 3; cap++) {
        t_sim(copies_big, &cap);
        t_sim(signals, &cap);
    }
    assert_null(gee_chan_new(SIZE_MAX / 2, 3));
    assert_null(gee_chan_new(1, SIZE_MAX));
    assert_null(gee_chan_ref(NULL));
    gee_chan_unref(NULL);
}

/* --- close and ctx end what is parked --- */

static void close_wakes(gee_ctx *ctx, void *arg) {
    static struct op o[3];
    gee_task_fn fn = *(gee_task_fn *)arg;
    int full = 99, v;
    gee_chan *ch = gee_chan_new(sizeof(int), 1);
    if (fn == sends)
        T_RC(gee_chan_try_send(ch, &full), 0);
    for (int i = 0; i < 3; i++) {
        o[i] = (struct op){.ch = ch, .v = 5};
        start(ctx, fn, &o[i]);
        T_RC(o[i].rc, PARKED);
    }
    T_RC(gee_chan_close(ch), 0);
    settle(ctx);
    for (int i = 0; i < 3; i++) {
        T_RC(o[i].rc, fn == sends ? UV_EPIPE : UV_EOF);
        T_EQ(o[i].v, fn == sends ? 5 : 0);
    }
    if (fn == sends) {
        T_RC(gee_chan_recv(ctx, ch, &v), 0);
        T_EQ(v, 99);
    }
    T_RC(gee_chan_recv(ctx, ch, &v), UV_EOF);
    gee_chan_unref(ch);
}

/* The middle one of three gives up: at once, and the queue goes on without it. */
static void ctx_wakes(gee_ctx *ctx, void *arg) {
    static struct op o[3];
    gee_task_fn fn = *(gee_task_fn *)arg;
    gee_chan *ch = gee_chan_new(sizeof(int), 0);
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 100);
    uint64_t start_ms = gee_now_ms();
    for (int i = 0; i < 3; i++) {
        o[i] = (struct op){.ch = ch, .v = i + 1, .ctx = i == 1 ? soon : NULL};
        start(ctx, fn, &o[i]);
    }
    T_RC(gee_sleep(ctx, 200), 0);
    T_RC(o[1].rc, UV_ETIMEDOUT);
    T_EQ(o[1].at_ms - start_ms, 100);
    T_EQ(o[1].v, 2);
    for (int k = 0; k < 2; k++) {
        int v = 10 + k;
        T_RC(fn == sends ? gee_chan_try_recv(ch, &v) : gee_chan_try_send(ch, &v), 0);
        T_EQ(v, fn == sends ? 2 * k + 1 : 10 + k);
    }
    T_RC(gee_chan_try_recv(ch, NULL), UV_EAGAIN);
    T_RC(gee_chan_try_send(ch, &o[0].v), UV_EAGAIN);
    settle(ctx);
    T_RC(o[0].rc | o[2].rc, 0);
    if (fn == receives)
        T_CHECK(o[0].v == 10 && o[2].v == 11);
    gee_ctx_end(soon);
    gee_chan_unref(ch);
}

static void test_wakes(void **state) {
    (void)state;
    gee_task_fn fns[] = {sends, receives};
    for (int i = 0; i < 2; i++) {
        t_sim(close_wakes, &fns[i]);
        t_sim(ctx_wakes, &fns[i]);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_states),
    cmocka_unit_test(test_order),
    cmocka_unit_test(test_elements),
    cmocka_unit_test(test_wakes),
};

T_MAIN(tests)
