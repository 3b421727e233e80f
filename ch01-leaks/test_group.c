/*
 * Chapter 1, group-nesting: groups inside groups, and a middleware that keeps a copy of each
 * request. The same source is linked over the broken variant, the fixed one and each decoy; what
 * a test reports says which of them it met.
 */
#include "t_census.h"
#include "t_client.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* --- the program: an audit that is written after the request is over --- */

enum { HANDLER_MS = 5, RECORD_MS = 20 }; /* and a request every 10 ms */
#define COPY "audit.copy"

static atomic_int audits,
    made; /* runs of the middleware, and copies, since somebody set them to 0 */

static void write_record(gee_ctx *ctx, void *arg) {
    gee_req *copy = arg;
    (void)ctx;
    gee_sleep(NULL, RECORD_MS);
    gee_req_release(copy);
}

/* Also when the handler has panicked. */
static void hand_over(void *arg) {
    gee_req *req = arg, *copy = gee_get(req, COPY);
    if (copy && gee_set(req, COPY, NULL, NULL) == 0 &&
        gee_go(gee_req_ctx(copy), write_record, copy) < 0)
        gee_req_release(copy);
}

/* Keeps the request as it came, for handlers to look at too, and lets its record be written. */
static void audit(gee_req *req) {
    gee_cleanup over;
    gee_req *copy = gee_req_copy(req);
    audits++;
    made += copy != NULL;
    if (copy && gee_set(req, COPY, copy, NULL) < 0)
        gee_req_release(copy);
    gee_cleanup_push(&over, hand_over, req);
    gee_next(req);
    gee_cleanup_pop(&over, true);
}

static void user(gee_req *req) {
    gee_sleep(gee_req_ctx(req), HANDLER_MS);
    gee_string(req, 200, "ada\n");
}

/* --- middlewares that leave a letter --- */

static void letter(gee_req *req) {
    const char *before = gee_get(req, "letters");
    char *all = gee_alloc(req, 32);
    snprintf(all, 32, "%s%s", before ? before : "", (const char *)gee_arg(req));
    gee_set(req, "letters", all, NULL);
    gee_next(req);
}

static void says_them(gee_req *req) {
    const char *all = gee_get(req, "letters");
    gee_string(req, 200, "%s", all ? all : "-");
}

enum { DEPTHS = 4 };
static const char *const users[DEPTHS] = {"/user", "/api/user", "/api/v1/user",
                                          "/api/v1/admin/user"};

static void routes(gee_group *root) {
    static const char *const prefixes[DEPTHS] = {"", "/api", "/v1", "/admin"};
    gee_use(root, audit, NULL);
    gee_group *g = root;
    for (int depth = 0; depth < DEPTHS; depth++) {
        if (depth > 0)
            g = gee_group_new(g, prefixes[depth]);
        gee_GET(g, "/user", user);
    }
    gee_group *outer = gee_group_new(root, "/outer");
    gee_use(outer, letter, "a");
    gee_group *twice = gee_group_new(outer, "/twice"), *late = gee_group_new(outer, "/late");
    gee_use(twice, letter, "b");
    gee_GET(twice, "/", says_them);
    gee_use(outer, letter, "c"); /* behind the making of both, before the route of one */
    gee_GET(late, "/", says_them);
}

/* --- what is measured --- */

struct asking {
    const char *target;
    int port;
    char body[32]; /* of the answer */
};

static void ask(gee_ctx *ctx, int i, void *arg) {
    struct asking *a = arg;
    t_conn *c = t_dial(a->port, 0);
    (void)i;
    if (c == NULL || t_get(ctx, c, a->target) != 200)
        t_fail(__FILE__, __LINE__, "GET %s: no answer", a->target);
    else
        snprintf(a->body, sizeof(a->body), "%s", t_body(c));
    if (c)
        t_close(ctx, c);
}

static void group_nesting(gee_ctx *ctx, t_conn *c, int port) {
    struct asking shallow = {users[0], port, ""}, deep = {users[2], port, ""};
    struct asking twice = {"/outer/twice/", port, ""}, late = {"/outer/late/", port, ""};
    t_row flat, nested;
    int runs[DEPTHS];
    (void)c;
    t_census_visits(ctx, ask, &shallow, &flat);
    made = 0;
    t_census_visits(ctx, ask, &deep, &nested);
    int of = T_VISITS + made;
    for (int depth = 0; depth < DEPTHS; depth++) {
        audits = 0;
        ask(ctx, 0, &(struct asking){users[depth], port, ""});
        runs[depth] = audits;
    }
    ask(ctx, 0, &twice);
    ask(ctx, 0, &late);
    gee_sleep(ctx, 10 * RECORD_MS);
    T_CHECK(flat.peak_requests >= 3 && flat.peak_requests <= 5 && flat.left_requests == 0);
    if (nested.peak_requests != flat.peak_requests || nested.left_requests != 0 || runs[0] != 1 ||
        runs[1] != 1 || runs[2] != 1 || runs[3] != 1 || strcmp(twice.body, "ab") != 0 ||
        strcmp(late.body, "ac") != 0)
        T_FAIL("group-nesting: of 100 requests to /user at most %d live at a time, to /api/v1/user "
               "%d, and %d of %d are left; a middleware of the root runs %d, %d, %d, %d times at "
               "depth 0 to 3; used twice: \"%s\"; used late: \"%s\"",
               (int)flat.peak_requests, (int)nested.peak_requests, (int)nested.left_requests, of,
               runs[0], runs[1], runs[2], runs[3], twice.body, late.body);
}

static void test_group_nesting(void **state) {
    (void)state;
    t_site_sim(&(t_site){routes, group_nesting, NULL, 0});
}

static void group_nesting_real(gee_ctx *ctx, t_conn *none, int port) {
    enum { ASKS = 20 };
    gee_census before, now;
    char out[256];
    (void)none;
    gee_census_take(&before);
    T_EQ(t_shell(ctx, out, sizeof(out), T_CURL "'http://127.0.0.1:%d/api/v1/user?[1-%d]'", port,
                 ASKS),
         0);
    T_EQ(strlen(out), ASKS * strlen("ada\n"));
    uint64_t start = gee_now_ms();
    do {
        gee_sleep(ctx, 10); /* records are being written */
        gee_census_take(&now);
    } while (now.copies > before.copies && gee_now_ms() - start < 500);
    if (now.copies > before.copies)
        T_FAIL("group-nesting on a socket: %d requests by curl to /api/v1/user leave %d copies",
               ASKS, (int)(now.copies - before.copies));
}

static void test_group_nesting_real(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, group_nesting_real, NULL, 0});
}

/* --- make census --- */

static void visitor(gee_ctx *ctx, int port, int i) {
    ask(ctx, i, &(struct asking){users[2], port, ""});
}

T_CENSUS(group_nesting, routes, visitor)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_group_nesting),
    cmocka_unit_test(test_group_nesting_real),
    cmocka_unit_test(census_group_nesting),
};

T_MAIN(tests)
