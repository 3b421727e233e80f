/*
 * Chapter 2, keepalive-timer: what a client may take its time with on a connection that is kept
 * alive. The same source is linked over the broken variant, the fixed one and each decoy; what a
 * test reports says which of them it met.
 */
#include "t_client.h"
#include "t_left.h"
#include "t_site.h"
#include <stdio.h>
#include <string.h>

static void hello(gee_req *req) {
    gee_string(req, 200, "hello\n");
}

static void routes(gee_group *r) {
    gee_GET(r, "/hello", hello);
}

/* What a client does once its first request has been answered. */
struct manner {
    const char *begin, *drip; /* of a second request; drip: again each second */
    const char *rest;         /* makes it whole, for a server that still waits */
};

#define HEAD "GET /hello HTTP/1.1\r\n"
#define REST "\r\nHost: t\r\nConnection: close\r\n\r\n"
static const struct manner half_a_head = {HEAD "X-Slow: a", "", REST};
static const struct manner a_byte_a_second = {HEAD "X-Slow: a", "a", REST};
static const struct manner silence = {"", "", HEAD "Host: t\r\nConnection: close\r\n\r\n"};

struct client {
    t_conn *c;
    uint64_t closed_ms; /* 0: not yet */
    gee_waitgroup over;
};

static void read_to_the_end(gee_ctx *ctx, void *arg) {
    struct client *k = arg;
    t_all(ctx, k->c);
    k->closed_ms = gee_now_ms();
    gee_waitgroup_done(&k->over);
}

/* Until the server has closed, or an hour has passed. */
static void take_time(gee_ctx *ctx, struct client *k, const struct manner *m) {
    enum { A_SECOND = 1000, AN_HOUR = 3600 };
    t_puts(ctx, k->c, m->begin);
    for (int s = 0; s < AN_HOUR && k->closed_ms == 0; s++) {
        gee_sleep(ctx, A_SECOND);
        if (*m->drip && k->closed_ms == 0)
            t_puts(ctx, k->c, m->drip);
    }
}

/* After how long the server closes on such a client. */
static void closed_after(gee_ctx *ctx, int port, const struct manner *m, char *buf, size_t size) {
    struct client k = {.c = t_dial(port, 0)};
    T_EQ(t_get(ctx, k.c, "/hello"), 200);
    gee_waitgroup_add(&k.over, 1);
    T_RC(gee_go(ctx, read_to_the_end, &k), 0);
    uint64_t start = gee_now_ms();
    take_time(ctx, &k, m);
    if (k.closed_ms != 0)
        snprintf(buf, size, "%.1f s", (double)(k.closed_ms - start) / 1e3);
    else
        snprintf(buf, size, "for ever");
    t_puts(ctx, k.c, m->rest); /* so that it ends, if it has not */
    gee_waitgroup_wait(NULL, &k.over);
    t_close(ctx, k.c);
}

static void keepalive(gee_ctx *ctx, t_conn *c, int port) {
    char half[32] = "", drip[32] = "", silent[32] = "";
    (void)c;
    closed_after(ctx, port, &half_a_head, half, sizeof(half));
    closed_after(ctx, port, &a_byte_a_second, drip, sizeof(drip));
    closed_after(ctx, port, &silence, silent, sizeof(silent));
    if (strcmp(half, "10.0 s") != 0 || strcmp(drip, "10.0 s") != 0 || strcmp(silent, "60.0 s") != 0)
        T_FAIL("keepalive-timer: behind the first answer, half a head is closed after %s, a byte a "
               "second after %s, silence after %s",
               half, drip, silent);
}

static void test_keepalive_timer(void **state) {
    (void)state;
    t_site_sim(&(t_site){routes, keepalive, NULL, 0});
}

/*
 * The same on a socket: curl as a plain pipe sends a request and a half, and waits. With
 * a head_ms of a second it is told so before its three seconds are over. (curl looks at its socket
 * once a second.)
 */
static void keepalive_real(gee_ctx *ctx, t_conn *none, int port) {
    char out[2048];
    (void)none;
    t_shell(ctx, out, sizeof(out),
            "{ printf 'GET /hello HTTP/1.1\\r\\nHost: t\\r\\n\\r\\nGET /hel'; sleep 3; } | " T_CURL
            "-N --max-time 4 telnet://127.0.0.1:%d",
            port);
    T_CHECK(strstr(out, "HTTP/1.1 200 OK\r\n") != NULL);
    if (strstr(out, "HTTP/1.1 408 Request Timeout\r\n") == NULL)
        T_FAIL("keepalive-timer on a socket: three seconds after half a second request curl was "
               "told nothing, where head_ms is 1000");
}

static void test_keepalive_timer_real(void **state) {
    static const gee_limits limits = {.head_ms = 1000};
    (void)state;
    t_site_real(1, &(t_site){routes, keepalive_real, &limits, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_keepalive_timer),
    cmocka_unit_test(test_keepalive_timer_real),
};

T_MAIN(tests)
