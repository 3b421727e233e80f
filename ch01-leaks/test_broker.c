/*
 * Chapter 1, chan-unclosed: readers whose subscription ends. The same source is linked over the
 * broken variant, the fixed one and each decoy; what a test reports says which of them it met.
 */
#include "t_census.h"
#include "t_client.h"
#include "t_left.h"
#include "t_site.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { READERS = 50 };

static _Atomic(gee_broker *) broker;
static atomic_int readers; /* in the loop */

static void end_of_request(void *sub) {
    gee_unsubscribe(sub);
    gee_sub_unref(sub);
}

/* The loop relies on what the broker promises: however it ends, the channel is closed. */
static void receive_all(gee_req *req, gee_sub *sub) {
    gee_message *m;
    while (gee_chan_recv(NULL, gee_sub_chan(sub), &m) == 0) {
        gee_write(req, gee_message_data(m), gee_message_size(m));
        gee_message_unref(m);
        gee_flush(req);
    }
}

static void chat(gee_req *req) {
    gee_sub *sub = gee_subscribe(broker, NULL, 8);
    gee_after *gone = gee_ctx_after_func(gee_req_ctx(req), end_of_request, gee_sub_ref(sub));
    gee_write(req, "joined\n", 7);
    gee_flush(req);
    readers++;
    receive_all(req, sub);
    readers--;
    if (gee_after_stop(gone))
        gee_sub_unref(sub);
    gee_sub_unref(sub);
}

static void say(gee_req *req) {
    gee_string(req, 200, "%d\n", gee_publish(broker, NULL, "hello\n", 6));
}

static void kick(gee_req *req) {
    gee_string(req, 200, "%d\n", gee_unsubscribe_all(broker, NULL));
}

static void close_all(gee_req *req) {
    gee_broker_close(broker);
    gee_string(req, 200, "closed\n");
}

static void routes(gee_group *r) {
    gee_GET(r, "/chat", chat);
    gee_POST(r, "/say", say);
    gee_POST(r, "/kick", kick);
    gee_POST(r, "/close", close_all);
}

/* On a connection of its own, for a minute at most: the status, or an error. */
static int post(gee_ctx *ctx, int port, const char *target) {
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 60 * 1000);
    t_conn *c = t_dial(port, 0);
    int rc = t_post(soon, c, target, "text/plain", "");
    t_close(ctx, c);
    gee_ctx_end(soon);
    return rc;
}

static bool all_hear(gee_ctx *ctx, t_conn **clients, const char *text) {
    for (int i = 0; i < READERS; i++)
        if (t_until(ctx, clients[i], text) == NULL)
            return false;
    return true;
}

/* What READERS readers leave behind that end by this request; NULL: their clients leave. */
static int64_t left_by(gee_ctx *ctx, int port, const char *target, int *leaked) {
    t_conn *clients[READERS];
    char how_long[32];
    broker = gee_broker_new();
    gee_sleep(ctx, 1); /* what is about to end has ended */
    int64_t before = t_tasks();
    int leaked_before = t_leaked();
    for (int i = 0; i < READERS; i++) {
        clients[i] = t_dial(port, 0);
        t_puts(ctx, clients[i], "GET /chat HTTP/1.1\r\nHost: test\r\n\r\n");
    }
    bool heard = all_hear(ctx, clients, "joined") && post(ctx, port, "/say") == 200 &&
                 all_hear(ctx, clients, "hello");
    if (!heard)
        t_fail(__FILE__, __LINE__, "not all of them hear what is said");
    if (target)
        post(ctx, port, target);
    for (int i = 0; target == NULL && i < READERS; i++)
        t_close(ctx, clients[i]);
    t_stays(ctx, before, how_long, sizeof(how_long));
    int64_t left = t_tasks() - before;
    *leaked += t_leaked() - leaked_before;
    for (int i = 0; target && i < READERS; i++)
        t_close(ctx, clients[i]);
    if (left == 0)
        gee_broker_free(broker);
    return left;
}

static void chan_unclosed(gee_ctx *ctx, t_conn *c, int port) {
    char parked[128];
    (void)c;
    int leaked = 0;
    int64_t leave = left_by(ctx, port, NULL, &leaked);
    int64_t kicked = left_by(ctx, port, "/kick", &leaked);
    int64_t closed = left_by(ctx, port, "/close", &leaked);
    if (leave + kicked + closed > 0)
        T_FAIL(
            "chan-unclosed: %d readers leave tasks behind: when their clients leave %d, when they "
            "are kicked %d, when the broker is closed %d; of these %d are found leaked "
            "(parked: %s)",
            READERS, (int)leave, (int)kicked, (int)closed, leaked,
            t_parked("GET /chat", parked, sizeof(parked)));
}

static void test_chan_unclosed(void **state) {
    (void)state;
    t_site_sim(&(t_site){routes, chan_unclosed, NULL, 0});
}

/* --- on a socket: is a stream over when its reader is kicked? --- */

/* With who kicks they are as many as may block at the same time (gee/lane.h). */
enum { LISTENERS = 2 };

struct listener {
    int port;
    atomic_int status; /* of curl: -1 while it listens */
};

static void listens(gee_ctx *ctx, void *arg) {
    struct listener *l = arg;
    char out[256];
    (void)ctx;
    l->status = t_shell(NULL, out, sizeof(out), T_CURL "-N http://127.0.0.1:%d/chat", l->port);
}

static void chan_unclosed_real(gee_ctx *ctx, t_conn *none, int port) {
    static struct listener listeners[LISTENERS];
    char out[64], parked[128];
    int open = LISTENERS;
    (void)none;
    broker = gee_broker_new();
    readers = 0;
    for (int i = 0; i < open; i++) {
        listeners[i].port = port;
        listeners[i].status = -1;
        gee_go(ctx, listens, &listeners[i]);
    }
    while (readers < LISTENERS)
        gee_sleep(ctx, 5);
    T_EQ(t_shell(ctx, out, sizeof(out), T_CURL "-X POST http://127.0.0.1:%d/kick", port), 0);
    T_STR(out, "2\n");
    for (int waited = 0; open > 0 && waited < 200; waited++) {
        gee_sleep(ctx, 5);
        open = 0;
        for (int i = 0; i < LISTENERS; i++)
            open += listeners[i].status != 0;
    }
    if (open > 0)
        T_FAIL(
            "chan-unclosed on a socket: a second after %d readers were kicked, curl still listens "
            "in %d of %d (parked: %s)",
            LISTENERS, open, LISTENERS, t_parked("GET /chat", parked, sizeof(parked)));
    gee_broker_free(broker);
}

static void test_chan_unclosed_real(void **state) {
    const gee_limits limits = {.drain_ms = 50};
    (void)state;
    t_site_real(1, &(t_site){routes, chan_unclosed_real, &limits, 0});
}

/* --- make census: readers that join, and leave --- */

static void free_broker(void *b) {
    gee_broker_free(b);
}

static void room(gee_group *r) {
    broker = gee_broker_new();
    gee_engine_own(gee_engine_of(r), broker, free_broker);
    routes(r);
}

static void reader(gee_ctx *ctx, int port, int i) {
    t_conn *c = t_dial(port, 0);
    (void)i;
    t_puts(ctx, c, "GET /chat HTTP/1.1\r\nHost: test\r\n\r\n");
    t_until(ctx, c, "joined");
    t_close(ctx, c);
}

T_CENSUS(chan_unclosed, room, reader)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(census_chan_unclosed),
    cmocka_unit_test(test_chan_unclosed),
    cmocka_unit_test(test_chan_unclosed_real),
};

T_MAIN(tests)
