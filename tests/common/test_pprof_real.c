/*
 * /debug/pprof/ on workers that run at the same time: all tasks of all are there, whole, while
 * they start, wait and end; who comes from elsewhere is turned away.
 */
#include "base/tools.h"
#include "t_client.h"
#include "t_site.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void routes(gee_group *r) {
    gee_pprof_routes(r, NULL);
}

/* --- a thousand on each worker, while others come and go --- */

/* The tools read all debug information in each round, for the names. */
enum { WORKERS = 3, EACH = 1000, ROUNDS = GEE_POOLS ? 5 : 2 };

__attribute__((noinline)) static void waits(gee_ctx *ctx, gee_chan *ch) {
    gee_chan_recv(ctx, ch, NULL);
}

struct crowd {
    gee_chan *ch;
    _Atomic bool over;
    gee_waitgroup all;
};

static void one(gee_ctx *ctx, void *arg) {
    struct crowd *crowd = arg;
    waits(ctx, crowd->ch);
    gee_waitgroup_done(&crowd->all);
}

static void brief(gee_ctx *ctx, void *arg) {
    struct crowd *crowd = arg;
    gee_sleep(ctx, gee_random_number() % 3);
    gee_waitgroup_done(&crowd->all);
}

/* Starts short ones, all the time. */
static void churns(gee_ctx *ctx, void *arg) {
    struct crowd *crowd = arg;
    while (!crowd->over) {
        for (int i = 0; i < 20; i++) {
            gee_waitgroup_add(&crowd->all, 1);
            gee_go(ctx, brief, crowd);
        }
        gee_sleep(ctx, 1);
    }
    gee_waitgroup_done(&crowd->all);
}

/* How many of the profile have waits() in it. */
static int waiting(const char *text) {
    int n = 0;
    for (const char *end; (end = strstr(text, "\n\n")) != NULL; text = end + 2) {
        const char *in = strstr(text, "\twaits+0x"), *by = strstr(text, "\tone+0x");
        const char *from = strstr(text, "created by test_crowd_body");
        int count = 0;
        if (in && by && from && in < by && by < from && from < end)
            sscanf(text +
                       (strncmp(text, "goroutine profile", 17) == 0 ? strcspn(text, "\n") + 1 : 0),
                   "%d @", &count);
        n += count;
    }
    return n;
}

static void test_crowd_body(gee_ctx *ctx, t_conn *none, int port) {
    static char text[512 * 1024];
    struct crowd crowd = {.ch = gee_chan_new(0, 0)};
    (void)none;
    gee_waitgroup_add(&crowd.all, WORKERS * (EACH + 1));
    for (int w = 0; w < WORKERS; w++) {
        for (int i = 0; i < EACH; i++)
            gee_go_on(w, ctx, one, &crowd);
        gee_go_on(w, ctx, churns, &crowd);
    }
    gee_sleep(ctx, 100);
    T_RC(gee_pprof_count_waits(true), 0);
    int whole = 0;
    for (int i = 0; i < ROUNDS; i++) {
        T_EQ(t_shell(ctx, text, sizeof(text),
                     T_CURL "'http://127.0.0.1:%d/debug/pprof/goroutine?debug=1'", port),
             0);
        whole += waiting(text) == WORKERS * EACH;
        t_shell(ctx, text, sizeof(text),
                "for p in heap block mutex goroutine?debug=2 taskleak; do " T_CURL
                "-o /dev/null -w '%%{http_code} ' \"http://127.0.0.1:%d/debug/pprof/$p\"; done",
                port);
        T_STR(text, "200 200 200 200 200 ");
    }
    T_RC(gee_pprof_count_waits(false), 0);
    crowd.over = true;
    gee_chan_close(crowd.ch);
    gee_waitgroup_wait(NULL, &crowd.all);
    gee_chan_unref(crowd.ch);
    T_EQ(whole, ROUNDS);
}

static void test_crowd(void **state) {
    (void)state;
    t_site_real(WORKERS, &(t_site){routes, test_crowd_body, NULL, 0});
}

/* --- from elsewhere --- */

/* An address of this machine that is not its loopback; false: it has none. */
static bool own_address(char *buf) {
    struct ifaddrs *all, *i;
    bool found = false;
    if (getifaddrs(&all) != 0)
        return false;
    for (i = all; i && !found; i = i->ifa_next) {
        const struct sockaddr_in *in = (const void *)i->ifa_addr;
        if (in && in->sin_family == AF_INET && (ntohl(in->sin_addr.s_addr) >> 24) != 127)
            found = inet_ntop(AF_INET, &in->sin_addr, buf, INET_ADDRSTRLEN) != NULL;
    }
    freeifaddrs(all);
    return found;
}

static void asks(gee_ctx *ctx, bool any_client, const char *from, const char *expected) {
    gee_engine *e = gee_engine_new();
    gee_server *srv;
    char said[512];
    gee_pprof_routes(gee_root(e), &(gee_pprof_options){.any_client = any_client});
    T_RC(gee_listen(e, "0.0.0.0", 0, NULL, &srv), 0);
    t_shell(ctx, said, sizeof(said), T_CURL "http://%s:%d/debug/pprof/cmdline", from,
            gee_server_port(srv));
    if (strstr(said, expected) == NULL)
        t_fail(__FILE__, __LINE__, "from %s: %s", from, said);
    gee_server_shutdown(srv);
    gee_engine_free(e);
}

static void elsewhere(gee_ctx *ctx, void *arg) {
    asks(ctx, false, "127.0.0.1", "test_pprof_real");
    asks(ctx, false, "127.1.2.3", "test_pprof_real");
    asks(ctx, false, arg, "profiles are for clients on the server's own machine");
    asks(ctx, true, arg, "test_pprof_real");
}

static void test_elsewhere(void **state) {
    char address[INET_ADDRSTRLEN];
    (void)state;
    if (!own_address(address))
        skip();
    t_real(1, elsewhere, address);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_crowd),
    cmocka_unit_test(test_elsewhere),
};

T_MAIN(tests)
