/*
 * Chapter 3, engine-state: a group that trusts its proxy, an open door beside it that trusts
 * nobody, and requests of both that are under way at the same time. The same source is linked over
 * the broken variant, the fixed one and each decoy; what a test reports says which of them it met.
 */
#include "base/tools.h"
#include "t_client.h"
#include "t_turn.h"
#include "web/net.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What somebody says of himself, in the header that only a proxy should be believed. */
#define LIE     "X-Forwarded-For: 6.6.6.6\r\n"
#define PARTNER "X-Forwarded-For: 203.0.113.%d\r\n"

static void whoami(gee_req *req) {
    gee_string(req, 200, "%s\n", gee_client_ip(req));
}

static const char *believed(const char *line) {
    return strcmp(line, "6.6.6.6") == 0 ? "believed" : "not believed";
}

/* --- two workers: a partner's request is held, and parks then; visitors come meanwhile --- */

enum { INSIDE = 1, ASKED_BESIDE, PARKS, SECOND_PARKS };
static t_turn turn;
static gee_waitgroup first_may_go, second_may_go;

/*
 * A partner's request that is held where it asks who sent it, wherever the unit does so: it is
 * linked with --wrap=gee_ip_text (chapter.mk), and makes the address of the other end a text there.
 */
enum { ASKS = 1, ASKED_MEANWHILE, HOLD_S = 6 };
static t_turn asking;
static _Atomic(gee_task *) to_hold;

static void holds(gee_req *req) {
    if (strcmp(gee_param(req, "n"), "0") == 0)
        atomic_store_explicit(&to_hold, gee_task_self(), memory_order_relaxed);
    gee_next(req);
}

void __real_gee_ip_text(const struct in6_addr *ip, char *buf);
void __wrap_gee_ip_text(const struct in6_addr *ip, char *buf);
void __wrap_gee_ip_text(const struct in6_addr *ip, char *buf) {
    gee_task *task = atomic_load_explicit(&to_hold, memory_order_relaxed);
    if (task && task == gee_task_self()) {
        atomic_store_explicit(&to_hold, NULL, memory_order_relaxed);
        t_turn_pass(&asking, ASKS);
        t_turn_await_for(&asking, ASKED_MEANWHILE, HOLD_S);
    }
    __real_gee_ip_text(ip, buf);
}

static void partner(gee_req *req) {
    if (strcmp(gee_param(req, "n"), "0") == 0) {
        whoami(req);
        return;
    }
    if (strcmp(gee_param(req, "n"), "1") == 0) {
        t_turn_pass(&turn, INSIDE);
        t_turn_await(&turn, ASKED_BESIDE); /* its thread is held */
        t_turn_pass(&turn, PARKS);
        gee_waitgroup_wait(NULL, &first_may_go);
    } else {
        t_turn_pass(&turn, SECOND_PARKS);
        gee_waitgroup_wait(NULL, &second_may_go);
    }
    whoami(req);
}

static void let_go(gee_req *req) {
    bool first = strcmp(gee_param(req, "n"), "1") == 0;
    gee_waitgroup_done(first ? &first_may_go : &second_may_go);
    gee_string(req, 200, "gone\n");
}

static void routes(gee_group *r, const char *proxies) {
    t_worker_route(r);
    gee_GET(r, "/whoami", whoami);
    gee_GET(r, "/let/:n", let_go);
    gee_group *g = gee_group_new(r, "/partner");
    gee_use(g, holds, NULL);
    gee_trust_proxies(g, &(gee_trust_options){.proxies = proxies});
    gee_GET(g, "/:n", partner);
}

static void two_routes(gee_group *r) {
    routes(r, "127.0.0.0/8");
}

struct visits {
    int port;
    char meanwhile[64], beside[64], same[64], first[64], second[64], after[64];
};

static void send_get(int fd, const char *target, const char *lines) {
    char head[256];
    snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: t\r\n%s\r\n", target, lines);
    t_sock_puts(fd, head);
}

static void ask(int fd, const char *target, const char *lines, char *line, size_t size) {
    char buf[512];
    send_get(fd, target, lines);
    snprintf(line, size, "%.63s", t_sock_line(fd, buf, sizeof(buf)));
}

static void read_line(int fd, char *line, size_t size) {
    char buf[512];
    snprintf(line, size, "%.63s", t_sock_line(fd, buf, sizeof(buf)));
}

static void send_partner(int fd, int n) {
    char target[32], lines[64];
    snprintf(target, sizeof(target), "/partner/%d", n);
    snprintf(lines, sizeof(lines), PARTNER, n);
    send_get(fd, target, lines);
}

/* While a partner's request is in the middle of asking. */
static void visit_meanwhile(struct visits *v, int partners, int beside) {
    char line[64];
    send_partner(partners, 0);
    t_turn_await(&asking, ASKS);
    ask(beside, "/whoami", LIE, v->meanwhile, sizeof(v->meanwhile));
    t_turn_pass(&asking, ASKED_MEANWHILE);
    read_line(partners, line, sizeof(line));
}

static void visit(void *arg) {
    struct visits *v = arg;
    char line[64];
    int first = t_sock_on(v->port, 0), second = t_sock_on(v->port, 0);
    int same = t_sock_on(v->port, 0), beside = t_sock_on(v->port, 1);
    visit_meanwhile(v, first, beside);
    send_partner(first, 1);
    t_turn_await(&turn, INSIDE);
    ask(beside, "/whoami", LIE, v->beside, sizeof(v->beside));
    t_turn_pass(&turn, ASKED_BESIDE);
    t_turn_await(&turn, PARKS);
    ask(same, "/whoami", LIE, v->same, sizeof(v->same));
    send_partner(second, 2);
    t_turn_await(&turn, SECOND_PARKS);
    ask(same, "/let/1", "", line, sizeof(line));
    read_line(first, v->first, sizeof(v->first));
    ask(same, "/let/2", "", line, sizeof(line));
    read_line(second, v->second, sizeof(v->second));
    ask(same, "/whoami", LIE, v->after, sizeof(v->after));
    close(first);
    close(second);
    close(same);
    close(beside);
}

static void engine_state(gee_ctx *ctx, t_conn *none, int port) {
    struct visits v = {.port = port};
    (void)none;
    t_turn_init(&turn);
    t_turn_init(&asking);
    gee_vg_overlook(&to_hold, sizeof(to_hold));
    gee_waitgroup_add(&first_may_go, 1);
    gee_waitgroup_add(&second_may_go, 1);
    T_RC(gee_blocking(ctx, visit, &v), 0);
    T_STR(v.first, "203.0.113.1");
    if (strcmp(v.meanwhile, "127.0.0.1") != 0)
        snprintf(v.beside, sizeof(v.beside), "%s", v.meanwhile);
    if (strcmp(v.beside, "127.0.0.1") != 0 || strcmp(v.same, "127.0.0.1") != 0 ||
        strcmp(v.second, "203.0.113.2") != 0 || strcmp(v.after, "127.0.0.1") != 0)
        T_FAIL("engine-state on two workers: while a partner's request is under way, who calls "
               "himself 6.6.6.6 at the open door is %s by the other worker, %s by its own; of a "
               "second partner, when the first has left, it knows %s; when both have left, 6.6.6.6 "
               "is %s",
               believed(v.beside), believed(v.same), v.second, believed(v.after));
}

static void test_engine_state(void **state) {
    (void)state;
    t_site_real(2, &(t_site){two_routes, engine_state, NULL, 0});
}

/* --- one worker: a partner's request waits, and a visitor comes --- */

enum { WAIT_MS = 100, NEXT_MS = 50 };

static void slow(gee_req *req) {
    gee_sleep(gee_req_ctx(req), WAIT_MS);
    whoami(req);
}

static void one_routes(gee_group *r) {
    gee_GET(r, "/whoami", whoami);
    gee_group *g = gee_group_new(r, "/partner");
    gee_trust_proxies(g, &(gee_trust_options){.proxies = "simulated"});
    gee_GET(g, "/slow", slow);
}

static void put_get(gee_ctx *ctx, t_conn *c, const char *target, const char *lines) {
    char head[256];
    snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: t\r\n%s\r\n", target, lines);
    t_puts(ctx, c, head);
}

static void copy_line(gee_ctx *ctx, t_conn *c, char *line, size_t size) {
    t_response(ctx, c);
    snprintf(line, size, "%.*s", (int)strcspn(t_body(c), "\n"), t_body(c));
}

static void engine_state_one(gee_ctx *ctx, t_conn *c, int port) {
    char during[64], first[64], second[64], after[64];
    t_conn *a = t_dial(port, 0), *b = t_dial(port, 0);
    put_get(ctx, a, "/partner/slow", "X-Forwarded-For: 203.0.113.1\r\n");
    gee_sleep(ctx, NEXT_MS);
    put_get(ctx, c, "/whoami", LIE);
    copy_line(ctx, c, during, sizeof(during));
    put_get(ctx, b, "/partner/slow", "X-Forwarded-For: 203.0.113.2\r\n");
    copy_line(ctx, a, first, sizeof(first));
    copy_line(ctx, b, second, sizeof(second));
    put_get(ctx, c, "/whoami", LIE);
    copy_line(ctx, c, after, sizeof(after));
    t_close(ctx, a);
    t_close(ctx, b);
    T_STR(first, "203.0.113.1");
    if (strcmp(during, "simulated") != 0 || strcmp(second, "203.0.113.2") != 0 ||
        strcmp(after, "simulated") != 0)
        T_FAIL("engine-state on one worker: 6.6.6.6 is %s while a partner's request waits; a "
               "second partner's then comes from %s; when both have left, 6.6.6.6 is %s",
               believed(during), second, believed(after));
}

static void test_engine_state_one(void **state) {
    (void)state;
    t_site_sim(&(t_site){one_routes, engine_state_one, NULL, 0});
}

/* --- curl, three at a time: nobody has an answer until all have asked --- */

static gee_waitgroup two_inside, has_asked;

static void waits_inside(gee_req *req) {
    gee_waitgroup_done(&two_inside);
    gee_waitgroup_wait(NULL, &has_asked);
    whoami(req);
}

static void asks_beside(gee_req *req) {
    gee_waitgroup_wait(NULL, &two_inside);
    whoami(req);
    gee_waitgroup_done(&has_asked);
}

static void real_routes(gee_group *r) {
    gee_GET(r, "/whoami", whoami);
    gee_GET(r, "/beside", asks_beside);
    gee_group *g = gee_group_new(r, "/partner");
    gee_trust_proxies(g, &(gee_trust_options){.proxies = "127.0.0.1"});
    gee_GET(g, "/waits", waits_inside);
}

static void engine_state_real(gee_ctx *ctx, t_conn *none, int port) {
    char during[64], after[64], out[512];
    (void)none;
    gee_waitgroup_add(&two_inside, 2);
    gee_waitgroup_add(&has_asked, 1);
    T_EQ(t_shell(ctx, out, sizeof(out),
                 T_CURL "-o /dev/null -o /dev/null -H 'X-Forwarded-For: 203.0.113.1' --parallel "
                        "--parallel-immediate --no-progress-meter "
                        "'http://127.0.0.1:%d/partner/waits?[1-2]' & " T_CURL
                        "-H 'X-Forwarded-For: 6.6.6.6' http://127.0.0.1:%d/beside; wait",
                 port, port),
         0);
    snprintf(during, sizeof(during), "%.*s", (int)strcspn(out, "\n"), out);
    T_EQ(t_shell(ctx, out, sizeof(out),
                 T_CURL "-H 'X-Forwarded-For: 6.6.6.6' http://127.0.0.1:%d/whoami", port),
         0);
    snprintf(after, sizeof(after), "%.*s", (int)strcspn(out, "\n"), out);
    if (strcmp(during, "127.0.0.1") != 0 || strcmp(after, "127.0.0.1") != 0)
        T_FAIL("engine-state on a socket: curl calls itself 6.6.6.6, and is %s while two others "
               "are inside, %s when they have left",
               believed(during), believed(after));
}

static void test_engine_state_real(void **state) {
    (void)state;
    t_site_real(1, &(t_site){real_routes, engine_state_real, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_engine_state),
    cmocka_unit_test(test_engine_state_one),
    cmocka_unit_test(test_engine_state_real),
};

T_MAIN(tests)
