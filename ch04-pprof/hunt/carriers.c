/* What five carriers ask for a parcel; the cheapest is recommended. */
#include "hunt.h"

enum { CARRIERS = 5, ANSWER_MS = 15 };

static bool in_turn;

typedef struct offer {
    int carrier, cents;
} offer;

static int ask_carrier(gee_ctx *ctx, void *arg) {
    offer *o = arg;
    o->cents = 500 + o->carrier * 37 % 100;
    return gee_sleep(ctx, ANSWER_MS);
}

static int ask_all(gee_req *req, offer *offers) {
    int rc = 0;
    for (int i = 0; rc == 0 && i < CARRIERS; i++) {
        offers[i] = (offer){.carrier = i};
        rc = gee_req_go(req, ask_carrier, &offers[i]);
        if (rc == 0 && in_turn)
            rc = gee_req_join(req);
    }
    int joined = gee_req_join(req);
    return rc < 0 ? rc : joined;
}

static void compare(gee_req *req) {
    offer offers[CARRIERS];
    if (ask_all(req, offers) < 0) {
        gee_fail(req, 503);
        return;
    }
    const offer *best = offers;
    for (int i = 1; i < CARRIERS; i++)
        if (offers[i].cents < best->cents)
            best = &offers[i];
    gee_string(req, 200, "carrier %d, %d.%02d\n", best->carrier, best->cents / 100,
               best->cents % 100);
}

int carriers_routes(gee_group *g, bool guilty) {
    in_turn = guilty;
    return gee_GET(g, "/compare", compare);
}
