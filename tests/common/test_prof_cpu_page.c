/* /debug/pprof/profile: what it answers, to whom, and how it ends. */
#include "gee/pprof.h"
#include "gee/timeout.h"
#include "pprof/cpu.h"
#include "t_client.h"
#include "t_site.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t cpu_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

__attribute__((noinline)) static void add_up(void) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < 50000; i++)
        __asm__ volatile("" : "+r"(sum)); /* it is not optimised away, and is no access */
}

static void busy(gee_req *req) {
    for (int64_t end = cpu_ms() + 150; cpu_ms() < end;)
        add_up();
    gee_string(req, 200, "done\n");
}

static void routes(gee_group *r) {
    gee_group *g = gee_group_new(r, "");
    gee_use_timeout(g, 500); /* a profile of 30 s is none of its business */
    gee_GET(g, "/busy", busy);
    gee_pprof_routes(g, NULL);
}

static void what_is_no_number_is_refused_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/debug/pprof/profile?seconds=x"), 400);
    T_STR(t_body(c), "seconds is a number from 0 to 3600, not \"x\"\n");
    T_EQ(t_get(ctx, c, "/debug/pprof/profile?seconds=-1"), 400);
    T_EQ(t_get(ctx, c, "/debug/pprof/profile?seconds=3601"), 400);
    T_EQ(t_get(ctx, c, "/debug/pprof/profile?hz=1001"), 400);
    T_EQ(t_get(ctx, c, "/debug/pprof/profile?debug=2"), 400);
    T_RC(gee_cpu_start(GEE_CPU_HZ), 0); /* none of them has begun one */
    gee_cpu_free(gee_cpu_stop());
}
T_SITE(what_is_no_number_is_refused, routes)

struct asker {
    const char *target;
    int port, status;
    char body[8192], type[64];
    gee_waitgroup *done;
};

static void asks(gee_ctx *ctx, void *arg) {
    struct asker *a = arg;
    t_conn *c = t_dial(a->port, 0);
    a->status = t_get(ctx, c, a->target);
    snprintf(a->body, sizeof(a->body), "%s", t_body(c));
    snprintf(a->type, sizeof(a->type), "%s", t_field(c, "Content-Type"));
    t_close(ctx, c);
    gee_waitgroup_done(a->done);
}

static void text_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_waitgroup done = {0};
    struct asker a = {"/debug/pprof/profile?seconds=30&debug=1", port, 0, "", "", &done};
    uint64_t start = gee_now_ms();
    gee_waitgroup_add(&done, 1);
    T_RC(gee_go(ctx, asks, &a), 0);
    gee_sleep(ctx, 100);
    T_EQ(t_get(ctx, c, "/busy"), 200);
    gee_waitgroup_wait(ctx, &done);
    T_EQ(gee_now_ms() - start, 30000);
    T_EQ(a.status, 200);
    T_STR(a.type, "text/plain; charset=utf-8");
    T_CHECK(strstr(a.body, "profile profile: total ") == a.body);
    T_CHECK(strstr(a.body, "at 100 Hz; 0 were dropped; 0 threads were not looked at\n"));
    T_CHECK(strstr(a.body, "\"name\":\"GET /busy\""));
    T_CHECK(strstr(a.body, "\"created_at\":\"common/src/http/serve.c:"));
    T_CHECK(strstr(a.body, "\tadd_up+"));
    T_CHECK(strstr(a.body, "tests/common/test_prof_cpu_page.c:"));
}
static void what_a_request_costs_is_its_own(void **state) {
    (void)state;
    t_site_once(&(t_site){.routes = routes, .body = text_body});
}

static void the_second_is_told_so_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_waitgroup done = {0};
    struct asker a = {"/debug/pprof/profile?seconds=2", port, 0, "", "", &done};
    gee_waitgroup_add(&done, 1);
    T_RC(gee_go(ctx, asks, &a), 0);
    gee_sleep(ctx, 100);
    T_EQ(t_get(ctx, c, "/debug/pprof/profile?seconds=2"), 409);
    T_STR(t_body(c), "a CPU profile is being made; of a process there is one at a time\n");
    gee_waitgroup_wait(ctx, &done);
    T_EQ(a.status, 200);
    T_STR(a.type, "application/octet-stream");
    T_EQ((unsigned char)a.body[0], 0x1f); /* gzip, RFC 1952 */
    T_EQ((unsigned char)a.body[1], 0x8b);
}
T_SITE(the_second_is_told_so, routes)

static void a_client_that_leaves_ends_it_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *other = t_dial(port, 0);
    T_RC(t_puts(ctx, other, "GET /debug/pprof/profile?seconds=600 HTTP/1.1\r\nHost: x\r\n\r\n"), 0);
    gee_sleep(ctx, 1000);
    T_EQ(t_get(ctx, c, "/debug/pprof/profile?seconds=1"), 409);
    t_close(ctx, other);
    uint64_t start = gee_now_ms();
    gee_sleep(ctx, 10);
    T_EQ(t_get(ctx, c, "/debug/pprof/profile?seconds=1"), 200);
    T_CHECK(gee_now_ms() - start < 1200);
}
T_SITE(a_client_that_leaves_ends_it, routes)

static void real_body(gee_ctx *ctx, t_conn *c, int port) {
    char said[256];
    (void)c;
    T_EQ(t_shell(ctx, said, sizeof(said),
                 T_CURL "-o /dev/null 'http://127.0.0.1:%d/busy' & " T_CURL
                        "-o /dev/null -w '%%{http_code} %%{size_download}' "
                        "'http://127.0.0.1:%d/debug/pprof/profile?seconds=1'; wait",
                 port, port),
         0);
    int code = 0, bytes = 0;
    T_EQ(sscanf(said, "%d %d", &code, &bytes), 2);
    T_EQ(code, 200);
    T_CHECK(bytes > 100);
}
static void curl_has_one(void **state) {
    (void)state;
    t_site_real(2, &(t_site){.routes = routes, .body = real_body});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_no_number_is_refused),
    cmocka_unit_test(what_a_request_costs_is_its_own),
    cmocka_unit_test(the_second_is_told_so),
    cmocka_unit_test(a_client_that_leaves_ends_it),
    cmocka_unit_test(curl_has_one),
};
T_MAIN(tests)
