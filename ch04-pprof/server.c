/*
 * The server of chapter 4: the same source over the broken and over the fixed
 * framework. `make serve-broken CH=04`, `make serve-fixed CH=04`.
 */
#include "gee/gee.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- no-creation-site: a receipt for everything, from a service that has stopped to answer --- */

static gee_chan *receipts;

static void awaits_receipt(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_chan_recv(ctx, receipts, NULL);
}

static void order(gee_req *req) {
    gee_go(gee_background(), awaits_receipt, NULL);
    gee_string(req, 200, "ordered\n");
}

static void invoice(gee_req *req) {
    for (int i = 0; i < 3; i++) /* a copy for the customer, the shop and the tax office */
        gee_go(gee_background(), awaits_receipt, NULL);
    gee_string(req, 200, "invoiced\n");
}

/* --- taskleak: a task that waits for one that has forgotten it --- */

static void waits_for_nobody(gee_ctx *ctx, void *arg) {
    (void)ctx;
    gee_chan_recv(NULL, arg, NULL);
    gee_chan_unref(arg);
}

static void forgets(gee_req *req) {
    gee_chan *answer = gee_chan_new(0, 0);
    gee_chan_ref(answer);
    gee_go(gee_background(), waits_for_nobody, answer);
    gee_chan_unref(answer);
    gee_string(req, 200, "forgotten\n");
}

/* --- block and mutex: a till that one customer at a time uses, for a tenth of a second --- */

static gee_mutex till;

static void pay(gee_req *req) {
    gee_ctx *ctx = gee_req_ctx(req);
    if (gee_mutex_lock(ctx, &till) < 0)
        return;
    gee_sleep(ctx, 100);
    gee_mutex_unlock(&till);
    gee_string(req, 200, "paid\n");
}

/* --- racy-dump: the books are closed on another worker, and asked about meanwhile --- */

static void reads_ledger(gee_ctx *ctx) {
    volatile char pages[16 * 1024]; /* of it */
    pages[0] = 1;
    gee_sleep(ctx, 50);
    pages[sizeof(pages) - 1] = pages[0];
}

static void adds_up(void) {
    uint64_t end_ns = uv_hrtime() + 500 * 1000 * 1000;
    while (uv_hrtime() < end_ns)
        ;
}

static void signs(gee_ctx *ctx) {
    gee_ctx_wait(ctx);
}

static void closes_books(gee_ctx *ctx, void *arg) {
    (void)arg;
    reads_ledger(ctx);
    adds_up();
    signs(ctx);
}

/* The traceback of that task, from a dump of all. */
static void show_task(gee_req *req, char *all, const char *name) {
    char *at = strstr(all, name), *next;
    while (at && (next = strstr(all, "\n\n")) != NULL && next < at)
        all = next + 2;
    char *end = at ? strstr(all, "\n\n") : NULL;
    if (end)
        *end = '\0';
    gee_string(req, 200, "%s\n", at ? all : "it is not there");
}

static void books(gee_req *req) {
    enum { MOST = 256 * 1024 };
    char *all = gee_alloc(req, MOST);
    char path[] = "/tmp/gee-books-XXXXXX";
    int fd = mkstemp(path);
    gee_go_on((gee_worker_index() + 1) % gee_workers(), gee_req_ctx(req), closes_books, NULL);
    gee_sleep(gee_req_ctx(req), 200);
    int rc = gee_pprof_save("goroutine", 2, path);
    ssize_t n = rc < 0 ? rc : all ? read(fd, all, MOST - 1) : UV_ENOMEM;
    close(fd);
    unlink(path);
    if (n <= 0) {
        gee_fail(req, 500);
        return;
    }
    all[n] = '\0';
    show_task(req, all, "# \"closes_books\"");
}

/* --- profile-against-deadline: everything below /limited has three seconds --- */

static void hangs(gee_req *req) {
    gee_ctx_wait(gee_req_ctx(req));
}

static void limited(gee_group *root) {
    gee_group *g = gee_group_new(root, "/limited");
    gee_use_timeout(g, 3000);
    gee_use_idle_timeout(g, 4000);
    gee_GET(g, "/hangs", hangs);
    gee_pprof_routes(g, NULL);
}

/* --- snapshot-only, trace-unbounded: much that is over soon --- */

static void looks_up(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_sleep(ctx, 10);
}

static void search(gee_req *req) {
    for (int i = 0; i < 50; i++) /* a shard each */
        gee_go(gee_background(), looks_up, NULL);
    gee_string(req, 200, "searched 50 shards\n");
}

/* --- signal-unsafe: two ways to be busy --- */

enum { SLICE_MS = 5, MOST_MS = 60 * 1000 };

/* Works for ?ms= of CPU time, and lets others go in between. */
static void work(gee_req *req, void (*slice)(void)) {
    long ms = strtol(gee_default_query(req, "ms", "500"), NULL, 10);
    for (; ms > 0 && ms <= MOST_MS; ms -= SLICE_MS) {
        struct timespec now, end;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        end = now;
        for (end.tv_nsec += SLICE_MS * 1000000L;
             (now.tv_sec - end.tv_sec) * 1000000000L + now.tv_nsec < end.tv_nsec;
             clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now))
            slice();
        if (gee_sleep(gee_req_ctx(req), 0) < 0)
            return;
    }
}

/* Numbers, and no memory. */
static void add_up(void) {
    static volatile uint64_t sum;
    uint64_t s = sum;
    for (uint64_t i = 0; i < 20000; i++)
        s = s * 31 + i;
    sum = s;
}

/* A piece of memory for each of its fields. */
static void parse_record(void) {
    static void *volatile fields[64];
    for (size_t i = 0; i < 64; i++)
        fields[i] = malloc(2000 + 500 * i);
    for (size_t i = 0; i < 64; i++)
        free(fields[i]);
}

static void report(gee_req *req) {
    work(req, add_up);
    gee_string(req, 200, "reported\n");
}

static void import(gee_req *req) {
    work(req, parse_record);
    gee_string(req, 200, "imported\n");
}

static void index_page(gee_req *req) {
    gee_string(req, 200,
               "Chapter 4, pprof. Try:\n"
               "  /order, /invoice  each waits for receipts that do not come\n"
               "  /report?ms=500    is busy with numbers for so long\n"
               "  /import?ms=500    is busy with memory for so long\n"
               "  /forgets          starts a task that waits for somebody who has gone\n"
               "  /pay              at a till that takes a tenth of a second: several at a time\n"
               "  /books            are closed on another worker: where is that? (GEE_WORKERS=2)\n"
               "  /limited/hangs    has three seconds\n"
               "  /limited/debug/pprof/goroutine?seconds=5   as well, and needs longer\n"
               "  /search           starts 50 tasks, for 10 ms each\n"
               "  /debug/pprof/     what this server can say of itself\n"
               "  /debug/tasks      what every task of it does\n");
}

int main(void) {
    const char *port = getenv("PORT");
    gee_engine *e = gee_engine_new();
    if (e == NULL || (receipts = gee_chan_new(0, 0)) == NULL)
        return 1;
    gee_group *root = gee_root(e);
    gee_GET(root, "/", index_page);
    gee_GET(root, "/order", order);
    gee_GET(root, "/invoice", invoice);
    gee_GET(root, "/report", report);
    gee_GET(root, "/import", import);
    gee_GET(root, "/forgets", forgets);
    gee_GET(root, "/pay", pay);
    gee_GET(root, "/books", books);
    limited(root);
    gee_GET(root, "/search", search);
    gee_debug_routes(root);
    gee_pprof_routes(root, NULL);
    int rc = gee_engine_run(e, "127.0.0.1", port ? atoi(port) : 8080);
    gee_engine_free(e);
    gee_chan_unref(receipts);
    return rc ? 1 : 0;
}
