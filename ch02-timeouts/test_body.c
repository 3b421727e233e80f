/*
 * Chapter 2, header-then-body: a request that has been answered, and whose body does not come. The
 * same source is linked over the broken variant, the fixed one and each decoy; what a test reports
 * says which of them it met.
 */
#include "t_client.h"
#include "t_left.h"
#include "t_site.h"
#include <stdio.h>
#include <string.h>

/* Answers without a look at the body: the server has to get over it. */
static void ignore(gee_req *req) {
    gee_string(req, 200, "ignored\n");
}

/* Sends the head of its response, and reads then. */
static void copy(gee_req *req) {
    char piece[256];
    ssize_t n = gee_flush(req);
    while (n >= 0 && (n = gee_body_read(req, piece, sizeof(piece))) > 0)
        n = gee_write(req, piece, (size_t)n);
}

static void routes(gee_group *r) {
    gee_POST(r, "/ignore", ignore);
    gee_POST(r, "/copy", copy);
}

#define POST(target, lines) "POST " target " HTTP/1.1\r\nHost: t\r\n" lines "\r\n"
#define A_GIB               "Content-Length: 1073741824\r\n"

/* A client that has its answer and now owes a body. */
static t_conn *answered(gee_ctx *ctx, int port, const char *text) {
    t_conn *c = t_dial(port, 0);
    if (t_puts(ctx, c, text) < 0 || t_until(ctx, c, "HTTP/1.1 200 OK\r\n") == NULL)
        t_fail(__FILE__, __LINE__, "no answer to %s", text);
    gee_sleep(ctx, 1); /* so that no look at it comes at the very moment of a deadline */
    return c;
}

/* For how long its task stays if the client does nothing more. */
static void silent(gee_ctx *ctx, int port, const char *text, bool half_close, char *buf,
                   size_t size) {
    int64_t baseline = t_tasks();
    t_conn *c = answered(ctx, port, text);
    if (half_close)
        t_half_close(c);
    t_stays(ctx, baseline, buf, size);
    t_reset(ctx, c);
    gee_sleep(ctx, 1); /* what that ends has ended before the next one counts */
}

/* For how long, if it sends n bytes every second: an hour of that is for ever. */
static void sending(gee_ctx *ctx, int port, size_t n, char *buf, size_t size) {
    enum { AN_HOUR = 3600 };
    static const char piece[64 * 1024];
    int64_t baseline = t_tasks();
    t_conn *c = answered(ctx, port, POST("/ignore", A_GIB));
    int s = 0;
    for (; s < AN_HOUR && t_tasks() > baseline; s++) {
        t_send(ctx, c, piece, n);
        gee_sleep(ctx, 1000);
    }
    if (s < AN_HOUR)
        snprintf(buf, size, "%d s", s);
    else
        snprintf(buf, size, "for ever");
    t_reset(ctx, c);
    gee_sleep(ctx, 1);
}

static void header_then_body(gee_ctx *ctx, t_conn *none, int port) {
    char idle[32], half[32], expect[32], drip[32], flood[32];
    (void)none;
    silent(ctx, port, POST("/ignore", "Content-Length: 9\r\n") "abc", false, idle, sizeof(idle));
    silent(ctx, port, POST("/ignore", "Content-Length: 9\r\n") "abc", true, half, sizeof(half));
    silent(ctx, port, POST("/copy", "Content-Length: 9\r\nExpect: 100-continue\r\n"), false, expect,
           sizeof(expect));
    sending(ctx, port, 1, drip, sizeof(drip));
    sending(ctx, port, 64 * 1024, flood, sizeof(flood));
    bool good = strcmp(idle, "30.0 s") == 0 && strcmp(half, "0.0 s") == 0 &&
                strcmp(expect, "30.0 s") == 0 && strcmp(drip, "30 s") == 0 &&
                strcmp(flood, "5 s") == 0;
    if (!good)
        T_FAIL("header-then-body: behind the answer a task stays, for a client that is silent, "
               "%s, has half-closed, %s, expects 100, %s, sends a byte a second, %s, 64 KiB a "
               "second, %s",
               idle, half, expect, drip, flood);
}

static const gee_limits wide = {.body_bytes = UINT64_C(1) << 30};

static void test_header_then_body(void **state) {
    (void)state;
    t_site_sim(&(t_site){routes, header_then_body, &wide, 0});
}

/* On a socket: curl announces more than it has, takes its answer, and leaves. */
static void header_then_body_real(gee_ctx *ctx, t_conn *none, int port) {
    char out[64], parked[128];
    int64_t baseline = t_tasks();
    (void)none;
    T_EQ(t_shell(ctx, out, sizeof(out),
                 T_CURL "-H 'Content-Length: 1000' -d abc http://127.0.0.1:%d/ignore", port),
         0);
    T_STR(out, "ignored\n");
    uint64_t start = gee_now_ms();
    while (t_tasks() > baseline && gee_now_ms() - start < 500)
        gee_sleep(ctx, 10);
    if (t_tasks() > baseline)
        T_FAIL("header-then-body on a socket: half a second after curl left with its answer the "
               "task is still there (parked: %s)",
               t_parked("POST ", parked, sizeof(parked)));
}

static void test_header_then_body_real(void **state) {
    static const gee_limits limits = {.drain_ms = 100};
    (void)state;
    t_site_real(1, &(t_site){routes, header_then_body_real, &limits, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_header_then_body),
    cmocka_unit_test(test_header_then_body_real),
};

T_MAIN(tests)
