/* An id for each request: the client's if it is harmless, else a random one. */
#include "gee/middleware.h"
#include "gee/run.h"
#include "middleware/id.h"
#include "middleware/own.h"
#include "runtime/worker.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { MAX = 64 };
static const char key[] = "gee.request_id";

static void make(char *id, size_t size) {
    uint64_t n[2];
    if (gee_simulated() || getrandom(n, sizeof(n), 0) != sizeof(n)) {
        n[0] = gee_random(gee_worker_self());
        n[1] = gee_random(gee_worker_self());
    }
    snprintf(id, size, "%016" PRIx64 "%016" PRIx64, n[0], n[1]);
}

static void request_id(gee_req *req) {
    const gee_request_id_options *opt = gee_arg(req);
    const char *given = opt->distrust ? NULL : gee_header(req, opt->header);
    char made[33];
    if (given == NULL || !gee_id_is_harmless(given, MAX, "-_.:/+=")) {
        make(made, sizeof(made));
        given = made;
    }
    char *id = strdup(given);
    if (id && gee_set(req, key, id, free) < 0)
        free(id);
    gee_set_header(req, opt->header, given);
    gee_next(req);
}

const char *gee_request_id(gee_req *req) {
    return gee_get(req, key);
}

int gee_use_request_id(gee_group *g, const gee_request_id_options *opt) {
    static const gee_contract contract = {.name = "request id", .provides = "request id"};
    gee_request_id_options *own = gee_own_alloc(g, sizeof(*own));
    const char *header = opt && opt->header ? opt->header : "X-Request-ID";
    if (own == NULL || !gee_own_string(g, header, &own->header))
        return gee_own_failed(g, UV_ENOMEM, "request id");
    own->distrust = opt && opt->distrust;
    return gee_own_use(g, request_id, own, &contract);
}
