/* Orders: a request leaves its order in a channel, and is told when the dispatcher has taken it. */
#include "hunt.h"

enum { QUEUE = 64 };

typedef struct order {
    gee_waitgroup taken;
} order;

static bool looks;
static gee_chan *orders; /* of order * */

void dispatch_run(gee_ctx *ctx, void *arg) {
    (void)arg;
    for (;;) {
        order *o;
        int rc = looks ? gee_chan_try_recv(orders, &o) : gee_chan_recv(ctx, orders, &o);
        if (rc == UV_EAGAIN)
            rc = gee_sleep(ctx, 1);
        else if (rc == 0)
            gee_waitgroup_done(&o->taken);
        if (rc < 0)
            return;
    }
}

static void place(gee_req *req) {
    order *o = gee_alloc(req, sizeof(*o));
    if (o == NULL) {
        gee_fail(req, 503);
        return;
    }
    *o = (order){0};
    gee_waitgroup_add(&o->taken, 1);
    if (gee_chan_send(gee_req_ctx(req), orders, &o) == 0) {
        gee_waitgroup_wait(NULL, &o->taken); /* the dispatcher has it now */
        gee_string(req, 200, "%s is ordered\n", gee_param(req, "id"));
    }
}

static void drop(void *ch) {
    gee_chan_unref(ch);
}

int dispatch_routes(gee_group *g, bool guilty) {
    looks = guilty;
    orders = gee_chan_new(sizeof(order *), QUEUE);
    if (orders == NULL)
        return UV_ENOMEM;
    int rc = gee_engine_own(gee_engine_of(g), orders, drop);
    return rc < 0 ? rc : gee_POST(g, "/order/:id", place);
}
