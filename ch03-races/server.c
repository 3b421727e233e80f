/*
 * The server of chapter 3: the same source over the broken and over the fixed
 * framework. `make serve-broken CH=03`, `make serve-fixed CH=03`.
 */
#include "gee/gee.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- keys-unlocked: a request whose session is renewed by a sub-task meanwhile --- */

struct session {
    int id;
    bool closed;
};

/* The other side wants to be told, and that takes a second. */
static void close_session(void *arg) {
    struct session *s = arg;
    s->closed = true;
    gee_sleep(NULL, 1000);
    free(s);
}

static int open_session(gee_req *req, int id) {
    struct session *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return UV_ENOMEM;
    s->id = id;
    int rc = gee_set(req, "session", s, close_session);
    if (rc < 0)
        free(s);
    return rc;
}

struct renewal {
    gee_req *req;
    gee_waitgroup done;
};

static void renew(gee_ctx *ctx, void *arg) {
    struct renewal *r = arg;
    (void)ctx;
    open_session(r->req, 2);
    gee_waitgroup_done(&r->done);
}

static void session(gee_req *req) {
    struct renewal r = {.req = req};
    gee_waitgroup_add(&r.done, 1);
    if (open_session(req, 1) < 0 || gee_go(gee_req_ctx(req), renew, &r) < 0) {
        gee_fail(req, 503);
        return;
    }
    gee_sleep(NULL, 500);
    const struct session *s = gee_get(req, "session");
    gee_string(req, 200, "the session is number %d, and it is %s\n", s->id,
               s->closed ? "closed" : "open");
    gee_waitgroup_wait(NULL, &r.done); /* it uses the request */
}

/* --- params-shared: a greeting that takes two seconds --- */

static void hello(gee_req *req) {
    if (gee_sleep(gee_req_ctx(req), 2000) == 0)
        gee_string(req, 200, "hello, %s\n", gee_param(req, "name"));
}

/* --- order-contract: /admin has its two lines in the wrong order, and so has /staff --- */

/* Everyone here is somebody: authentication has turned away all others. */
static void authorize(gee_req *req) {
    const char *user = gee_auth_user(req);
    if (user && strcmp(user, "bob") == 0)
        gee_fail(req, 403);
    else
        gee_next(req);
}

static void audit(gee_req *req) {
    gee_next(req);
    printf("audit: %s %s: %d\n", gee_method(req), gee_target(req), gee_status_of(req));
    fflush(stdout);
}

static void users(gee_req *req) {
    gee_string(req, 200, "the users\n");
}

static void rota(gee_req *req) {
    gee_string(req, 200, "the rota\n");
}

static void authenticate(gee_group *g) {
    static const gee_account accounts[] = {{"ada", "countess"}, {"bob", "builder"}, {NULL, NULL}};
    gee_use_basic_auth(g, &(gee_basic_auth_options){.accounts = accounts});
}

static int admin(gee_engine *e) {
    gee_group *g = gee_group_new(gee_root(e), "/admin");
    gee_declare(e, authorize,
                &(gee_contract){.name = "authorization",
                                .needs = "authentication",
                                .provides = "authorization"});
    gee_use(g, authorize, NULL);
    authenticate(g);
    return gee_GET(g, "/users", users);
}

static int staff(gee_engine *e) {
    gee_group *g = gee_group_new(gee_root(e), "/staff");
    gee_declare(e, audit, &(gee_contract){.name = "audit", .around = "authentication"});
    authenticate(g);
    gee_use(g, audit, NULL);
    return gee_GET(g, "/rota", rota);
}

/* A program ends where this fails. This one has other cases to show, and tries it beside. */
static void if_it_may(gee_engine *e, int (*routes)(gee_engine *e)) {
    gee_engine *trial = gee_engine_new();
    if (trial && routes(trial) == 0)
        routes(e);
    if (trial)
        gee_engine_free(trial);
}

/* --- wrong-thread: two exchanges are asked for a price, by a worker each; the first one counts ---
 */

struct quote {
    gee_ctx *asking;
    gee_waitgroup answered;
    int price;
};

static void near_exchange(gee_ctx *ctx, void *arg) {
    struct quote *q = arg;
    if (gee_sleep(ctx, 20) == 0)
        q->price = 42;
    gee_ctx_cancel(q->asking, 0); /* nobody needs to wait for the other one */
    gee_waitgroup_done(&q->answered);
}

/* It has two seconds, and takes longer today. */
static void far_exchange(gee_ctx *ctx, void *arg) {
    struct quote *q = arg;
    q->asking = gee_ctx_with_timeout(ctx, 2000);
    gee_waitgroup_add(&q->answered, 1);
    gee_go_on(gee_workers() - 1, q->asking, near_exchange, q);
    gee_sleep(q->asking, 5000);
    gee_waitgroup_done(&q->answered);
}

static void quote(gee_req *req) {
    struct quote q = {.price = 0};
    gee_waitgroup_add(&q.answered, 1);
    gee_go_on(0, gee_req_ctx(req), far_exchange, &q);
    gee_waitgroup_wait(NULL, &q.answered);
    gee_ctx_end(q.asking);
    gee_string(req, 200, "%d\n", q.price);
}

/* --- copy-shallow: an account, and a log that names nobody --- */

static void log_account(gee_ctx *ctx, void *arg) {
    gee_req *copy = arg;
    (void)ctx;
    gee_set(copy, "user", (void *)"somebody", gee_forever);
    printf("audit: %s asks for %s\n", (const char *)gee_get(copy, "user"), gee_target(copy));
    fflush(stdout);
    gee_req_release(copy);
}

static void account(gee_req *req) {
    gee_set(req, "user", (void *)"ann", gee_forever);
    gee_req *copy = gee_req_copy(req);
    if (copy && gee_go(gee_req_ctx(copy), log_account, copy) < 0)
        gee_req_release(copy);
    gee_sleep(gee_req_ctx(req), 100); /* the balance */
    gee_string(req, 200, "this is the account of %s\n", (const char *)gee_get(req, "user"));
}

/* --- reader-reentry: feature flags, a nightly job that asks for two of them, and a switch --- */

static gee_flags *flags;

static int asks_the_bank(gee_ctx *ctx, const void *who, void *arg) {
    int rc = gee_sleep(ctx, 2000);
    (void)who;
    (void)arg;
    return rc < 0 ? rc : 1;
}

static int make_flags(void) {
    flags = gee_flags_new();
    if (flags == NULL)
        return UV_ENOMEM;
    int rc = gee_flags_put(NULL, flags, &(gee_flag){.name = "mail", .on = true});
    if (rc == 0)
        rc = gee_flags_put(NULL, flags, &(gee_flag){"invoices", true, "mail", asks_the_bank, NULL});
    return rc;
}

static void nightly_job(gee_ctx *ctx, void *arg) {
    int rc = gee_flags_ask(ctx, flags, "invoices", NULL);
    (void)arg;
    printf("nightly: %s\n", rc > 0 ? "invoices go out" : rc == 0 ? "not today" : uv_strerror(rc));
    fflush(stdout);
}

static void switch_mail_off(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_flags_switch(ctx, flags, "mail", false);
}

/* Both go on when who asked for them has gone. */
static void nightly(gee_req *req) {
    gee_status(req, gee_go(gee_background(), nightly_job, NULL) < 0 ? 503 : 202);
}

static void mail_off(gee_req *req) {
    gee_status(req, gee_go(gee_background(), switch_mail_off, NULL) < 0 ? 503 : 202);
}

static void mail(gee_req *req) {
    int rc = gee_flags_ask(gee_req_ctx(req), flags, "mail", NULL);
    if (rc >= 0)
        gee_string(req, 200, "mail is %s\n", rc ? "on" : "off");
}

static void flag_routes(gee_group *r) {
    gee_POST(r, "/nightly", nightly);
    gee_POST(r, "/mail/off", mail_off);
    gee_GET(r, "/mail", mail);
}

/* --- keys-stale-read: a price, and a change of it that takes two seconds --- */

struct price {
    int amount;
    char currency[4];
};

static gee_live *price;

static int make_price(void) {
    const struct price first = {100, "EUR"};
    return gee_live_new(&(gee_live_type){.size = sizeof(first)}, &first, &price);
}

static int to_yen(gee_ctx *ctx, void *next, void *arg) {
    struct price *p = next;
    (void)arg;
    strcpy(p->currency, "JPY");
    int rc = gee_sleep(ctx, 2000); /* the bank says how much that is */
    if (rc == 0)
        p->amount = 15000;
    return rc;
}

static void price_in_yen(gee_req *req) {
    int rc = gee_live_change(gee_req_ctx(req), price, to_yen, NULL);
    gee_status(req, rc < 0 ? 503 : 204);
}

static void show_price(gee_req *req) {
    const struct price *p = gee_live_get(price);
    gee_string(req, 200, "%d %s\n", p->amount, p->currency);
    gee_live_drop(p);
}

/* --- request-retained: a receipt goes out a second after its request --- */

enum { RECEIPTS = 8 };

static struct {
    gee_mutex lock;
    int n;
    char to[RECEIPTS][32];
} receipts;

static void send_receipt(gee_ctx *ctx, void *arg) {
    gee_req *req = arg;
    gee_sleep(ctx, 1000); /* the mail server */
    const char *user = gee_param(req, "user");
    if (gee_mutex_lock(ctx, &receipts.lock) == 0) {
        snprintf(receipts.to[receipts.n++ % RECEIPTS], sizeof(receipts.to[0]), "%s",
                 user ? user : "nobody");
        gee_mutex_unlock(&receipts.lock);
    }
    gee_req_unref(req);
}

static void buy(gee_req *req) {
    int rc = gee_req_ref(req);
    if (rc == 0 && (rc = gee_go(gee_background(), send_receipt, req)) < 0)
        gee_req_unref(req);
    if (rc < 0)
        gee_fail(req, 503);
    else
        gee_string(req, 200, "thank you, %s\n", gee_param(req, "user"));
}

static void show_receipts(gee_req *req) {
    if (gee_mutex_lock(gee_req_ctx(req), &receipts.lock) < 0)
        return;
    for (int i = receipts.n > RECEIPTS ? receipts.n - RECEIPTS : 0; i < receipts.n; i++) {
        const char *to = receipts.to[i % RECEIPTS];
        gee_write(req, "a receipt went to ", 18);
        gee_write(req, to, strlen(to));
        gee_write(req, "\n", 1);
    }
    gee_mutex_unlock(&receipts.lock);
}

/* --- engine-state: partners come through a proxy on this host, all others directly --- */

static void whoami(gee_req *req) {
    gee_string(req, 200, "you are %s\n", gee_client_ip(req));
}

static void report(gee_req *req) {
    if (gee_sleep(gee_req_ctx(req), 2000) == 0)
        gee_string(req, 200, "the report of %s\n", gee_client_ip(req));
}

static void partner_routes(gee_group *r) {
    gee_group *g = gee_group_new(r, "/partner");
    gee_trust_proxies(g, &(gee_trust_options){.proxies = "127.0.0.1"});
    gee_GET(g, "/report", report);
    gee_GET(r, "/whoami", whoami);
}

static void index_page(gee_req *req) {
    gee_string(req, 200,
               "Chapter 3, races. Try:\n"
               "  /session        what a request works with while its session is renewed\n"
               "  /price          and POST /price/yen, which takes two seconds\n"
               "  /hello/:name    greets by name, after two seconds: two visitors at a time\n"
               "  /buy/:user      and then /receipts\n"
               "  /account        whose it is\n"
               "  /mail           and POST /nightly, POST /mail/off: three who use a lock\n"
               "  /admin/users    for ada (countess), but not for bob (builder)\n"
               "  /staff/rota     for both of them, audited\n"
               "  /quote          a price, of whichever exchange answers first (GEE_WORKERS=2)\n"
               "  /whoami         where you come from\n"
               "  /partner/report the same, for those who come by a proxy, after two seconds\n"
               "  /debug/routes   what each request passes on its way\n"
               "  /debug/tasks    what every task of this server does\n");
}

int main(void) {
    const char *port = getenv("PORT");
    gee_engine *e = gee_engine_new();
    if (e == NULL || make_flags() < 0 || make_price() < 0)
        return 1;
    gee_group *root = gee_root(e);
    gee_GET(root, "/", index_page);
    gee_GET(root, "/session", session);
    gee_GET(root, "/hello/:name", hello);
    gee_GET(root, "/quote", quote);
    if_it_may(e, admin);
    if_it_may(e, staff);
    gee_GET(root, "/account", account);
    flag_routes(root);
    gee_GET(root, "/price", show_price);
    gee_POST(root, "/price/yen", price_in_yen);
    gee_GET(root, "/buy/:user", buy);
    gee_GET(root, "/receipts", show_receipts);
    partner_routes(root);
    gee_debug_routes(root);
    int rc = gee_engine_run(e, "127.0.0.1", port ? atoi(port) : 8080);
    gee_engine_free(e);
    gee_flags_free(flags);
    gee_live_free(price);
    return rc ? 1 : 0;
}
