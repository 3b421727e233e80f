/*
 * Chapter 3, order-contract: two middlewares in the wrong order, and what becomes of it: whether
 * the route is refused, and if not, who passes. The same source is linked over the broken variant,
 * the fixed one and each decoy; what a test reports says which of them it met.
 */
#include "t_client.h"
#include "t_http.h"
#include "t_left.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- a program: bob is a user and no admin; each middleware is right where it belongs --- */

static const gee_account accounts[] = {{"ada", "countess"}, {"bob", "builder"}, {NULL, NULL}};

/* Everyone here is somebody: authentication has turned away all others. */
static bool may_not(const char *user) {
    return user && strcmp(user, "bob") == 0;
}

static void authorize(gee_req *req) {
    if (may_not(gee_auth_user(req)))
        gee_fail(req, 403);
    else
        gee_next(req);
}

static int turned_away; /* that the audit has seen */

static void audit(gee_req *req) {
    gee_next(req);
    turned_away += gee_status_of(req) == 401 || gee_status_of(req) == 403;
}

static void users(gee_req *req) {
    gee_string(req, 200, "the users\n");
}

static void authentication(gee_group *g) {
    gee_use_basic_auth(g, &(gee_basic_auth_options){.accounts = accounts});
}

static gee_engine *program(void) {
    gee_engine *e = gee_engine_new();
    gee_declare(e, authorize,
                &(gee_contract){.name = "authorization",
                                .needs = "authentication",
                                .provides = "authorization"});
    gee_declare(e, audit,
                &(gee_contract){.name = "audit", .around = "authentication, authorization"});
    gee_declare(e, users, &(gee_contract){.name = "users", .needs = "authorization"});
    return e;
}

static int authorizes_first(gee_group *g) {
    gee_use(g, audit, NULL);
    gee_use(g, authorize, NULL);
    authentication(g);
    return gee_GET(g, "/users", users);
}

static int audits_last(gee_group *g) {
    authentication(g);
    gee_use(g, authorize, NULL);
    gee_use(g, audit, NULL);
    return gee_GET(g, "/users", users);
}

static int as_it_should_be(gee_group *g) {
    gee_use(g, audit, NULL);
    authentication(g);
    gee_use(g, authorize, NULL);
    return gee_GET(g, "/users", users);
}

/* --- what is measured --- */

#define ADA    "Authorization: Basic YWRhOmNvdW50ZXNz\r\n"
#define BOB    "Authorization: Basic Ym9iOmJ1aWxkZXI=\r\n"
#define NOBODY ""

struct outcome {
    int rc;                 /* of gee_GET */
    char line[256];         /* that was said then */
    int ada, bob, nobody;   /* the statuses that they get; -1: there is no server */
    int turned_away, heard; /* how many of 3 requests, and of how many of these the audit knows */
};

static int status(gee_ctx *ctx, int port, const char *who) {
    char head[256];
    t_conn *c = t_dial(port, 0);
    snprintf(head, sizeof(head), "GET /admin/users HTTP/1.1\r\nHost: t\r\n%s\r\n", who);
    t_puts(ctx, c, head);
    int got = t_response(ctx, c);
    t_close(ctx, c);
    return got;
}

static void ask_all(gee_ctx *ctx, gee_engine *e, struct outcome *o) {
    gee_server *srv;
    o->ada = o->bob = o->nobody = -1;
    turned_away = 0;
    if (gee_listen(e, "::1", 0, NULL, &srv) < 0)
        return;
    o->ada = status(ctx, gee_server_port(srv), ADA);
    o->bob = status(ctx, gee_server_port(srv), BOB);
    o->nobody = status(ctx, gee_server_port(srv), NOBODY);
    gee_server_shutdown(srv);
    o->turned_away = (o->ada != 200) + (o->bob != 200) + (o->nobody != 200);
    o->heard = turned_away;
}

/* Registers it, with what is said on stderr meanwhile, and then asks. */
static struct outcome try(gee_ctx *ctx, int (*routes)(gee_group *g)) {
    struct outcome o = {0};
    gee_engine *e = program();
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    o.rc = routes(gee_group_new(gee_root(e), "/admin"));
    fflush(stderr);
    rewind(file);
    o.line[fread(o.line, 1, sizeof(o.line) - 1, file)] = '\0';
    ask_all(ctx, e, &o);
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    close(before);
    fclose(file);
    gee_engine_free(e);
    return o;
}

static const char authorizes_first_line[] =
    "gee: GET /admin/users: authorization needs authentication, which basic auth provides further "
    "in\n";
static const char audits_last_line[] =
    "gee: GET /admin/users: audit has to be around authentication, which basic auth provides "
    "further out\n";

static bool is_refused(const struct outcome *o, const char *line) {
    return o->rc == UV_EINVAL && strcmp(o->line, line) == 0 && o->bob == -1;
}

/* In its own words, or "refused". */
static void say_refused(const struct outcome *o, const char *line, char *buf, size_t size) {
    int said = (int)strcspn(o->line, "\n"), should = (int)strcspn(line, "\n");
    if (o->rc == UV_EINVAL && strcmp(o->line, line) != 0)
        snprintf(buf, size, "refused, with the words \"%.*s\", and they should be \"%.*s\"", said,
                 o->line, should, line);
    else
        snprintf(buf, size, "refused");
}

static void order_contract(gee_ctx *ctx, void *arg) {
    char bob[512], heard[512];
    (void)arg;
    struct outcome right = try(ctx, as_it_should_be), first = try(ctx, authorizes_first),
                   last = try(ctx, audits_last);
    T_RC(right.rc, 0);
    T_STR(right.line, "");
    T_EQ(right.ada, 200);
    T_EQ(right.bob, 403);
    T_EQ(right.nobody, 401);
    T_EQ(right.heard, 2);
    say_refused(&first, authorizes_first_line, bob, sizeof(bob));
    say_refused(&last, audits_last_line, heard, sizeof(heard));
    if (first.rc == 0)
        snprintf(bob, sizeof(bob), "registered, and bob, who is no admin, gets %d", first.bob);
    if (last.rc == 0)
        snprintf(heard, sizeof(heard), "registered, and hears of %d of %d who are turned away",
                 last.heard, last.turned_away);
    if (!is_refused(&first, authorizes_first_line) || !is_refused(&last, audits_last_line))
        T_FAIL("order-contract: authorization in front of authentication is %s; an audit behind "
               "both is %s",
               bob, heard);
}

static void test_order_contract(void **state) {
    (void)state;
    t_sim(order_contract, NULL);
}

/* --- with curl --- */

static void order_contract_real(gee_ctx *ctx, void *arg) {
    char out[128] = "";
    gee_server *srv;
    gee_engine *e = program();
    (void)arg;
    authorizes_first(gee_group_new(gee_root(e), "/admin"));
    int rc = gee_listen(e, "127.0.0.1", 0, NULL, &srv);
    if (rc == 0) {
        t_shell(ctx, out, sizeof(out), T_CURL "-u bob:builder http://127.0.0.1:%d/admin/users",
                gee_server_port(srv));
        out[strcspn(out, "\n")] = '\0';
        gee_server_shutdown(srv);
    }
    gee_engine_free(e);
    if (rc != UV_EINVAL)
        T_FAIL("order-contract on a socket: the server starts, and curl -u bob reads: %s", out);
}

static void test_order_contract_real(void **state) {
    (void)state;
    t_real(2, order_contract_real, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_order_contract),
    cmocka_unit_test(test_order_contract_real),
};

T_MAIN(tests)
