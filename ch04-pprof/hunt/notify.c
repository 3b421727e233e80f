/*
 * Messages to customers, through a gateway that is closed for a moment every second. Who finds it
 * closed tries again, in a task of his own, and the customer does not wait for it.
 */
#include "hunt.h"
#include <stdlib.h>

enum { SECOND_MS = 1000, CLOSED_MS = 150, ANSWER_MS = 1, PAUSE_MS = 60, TRIES = 400 };

static bool at_once;

typedef struct message {
    int tries;
} message;

static int hand_over(gee_ctx *ctx) {
    int rc = gee_sleep(ctx, ANSWER_MS);
    return rc < 0 ? rc : gee_now_ms() % SECOND_MS < CLOSED_MS ? UV_ECONNREFUSED : 0;
}

static int send_later(message *m);

static void try_again(gee_ctx *ctx, void *arg) {
    message *m = arg;
    int rc = at_once ? 0 : gee_sleep(ctx, PAUSE_MS);
    if (rc == 0)
        rc = hand_over(ctx);
    if (rc != UV_ECONNREFUSED || m->tries++ == TRIES || send_later(m) < 0)
        free(m);
}

static int send_later(message *m) {
    return gee_go(gee_background(), try_again, m);
}

static void notify(gee_req *req) {
    int rc = hand_over(gee_req_ctx(req));
    message *m = rc == UV_ECONNREFUSED ? calloc(1, sizeof(*m)) : NULL;
    if (m && send_later(m) < 0)
        free(m);
    gee_string(req, 202, "%s %s told\n", gee_param(req, "id"), rc == 0 ? "is" : "will be");
}

int notify_routes(gee_group *g, bool guilty) {
    at_once = guilty;
    return gee_POST(g, "/notify/:id", notify);
}
