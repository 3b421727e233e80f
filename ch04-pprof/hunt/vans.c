/* Vans: four of them, which wait in a channel. A pickup takes one, drives, and brings it back. */
#include "hunt.h"
#include <string.h>

enum { VANS = 4, DRIVE_MS = 15, PATIENCE_MS = 400 };

static bool early;
static gee_chan *depot; /* of int */

static int wait_for_van(gee_ctx *ctx, int *van) {
    gee_ctx *patience = gee_ctx_with_timeout(ctx, PATIENCE_MS);
    if (patience == NULL)
        return UV_ENOMEM;
    int rc = gee_chan_recv(patience, depot, van);
    gee_ctx_end(patience);
    return rc;
}

static bool is_somewhere(gee_req *req) {
    return strncmp(gee_default_query(req, "from", "nowhere"), "nowhere", 7) != 0;
}

static void pickup(gee_req *req) {
    int van;
    if (!early && !is_somewhere(req)) {
        gee_fail(req, 422);
        return;
    }
    if (wait_for_van(gee_req_ctx(req), &van) < 0) {
        gee_fail(req, 503);
        return;
    }
    if (early && !is_somewhere(req)) {
        gee_fail(req, 422);
        return;
    }
    int rc = gee_sleep(gee_req_ctx(req), DRIVE_MS);
    gee_chan_try_send(depot, &van);
    if (rc == 0)
        gee_string(req, 200, "picked up by van %d\n", van);
}

static void drop(void *ch) {
    gee_chan_unref(ch);
}

int vans_routes(gee_group *g, bool guilty) {
    early = guilty;
    depot = gee_chan_new(sizeof(int), VANS);
    if (depot == NULL)
        return UV_ENOMEM;
    int rc = gee_engine_own(gee_engine_of(g), depot, drop);
    for (int van = 1; rc == 0 && van <= VANS; van++)
        rc = gee_chan_try_send(depot, &van);
    return rc < 0 ? rc : gee_POST(g, "/pickup", pickup);
}
