/*
 * The hunt: a parcel service with nine suspects, of which three are guilty.
 *
 * A suspect is a part of the service in a file of its own. It does its work in either of two ways,
 * both of which give the right answers; one of them would bring the service down. Which of them
 * are guilty follows from the seed (main.c), and cannot be seen from outside: only from what the
 * server does under load, with the endpoints under /debug and the tools that read them.
 */
#ifndef HUNT_H
#define HUNT_H

#include "gee/gee.h"

/* name, file without .c, what it serves */
#define SUSPECTS(X)                                     \
    X(prices)   /* GET /price?to=41210 */               \
    X(topics)   /* GET /parcel/:id, POST /parcel/:id */ \
    X(labels)   /* POST /label/:id */                   \
    X(vans)     /* POST /pickup?from=… */             \
    X(scale)    /* GET /weigh/:id */                    \
    X(dispatch) /* POST /order/:id */                   \
    X(notify)   /* POST /notify/:id */                  \
    X(rates)    /* GET /rate */                         \
    X(carriers) /* GET /compare */

enum suspect {
#define X(name) SUSPECT_##name,
    SUSPECTS(X)
#undef X
        SUSPECT_COUNT
};

enum { GUILTY = 3 };

/* Each adds its routes to g. 0 or an error. */
#define X(name) int name##_routes(gee_group *g, bool guilty);
SUSPECTS(X)
#undef X

/* dispatch.c: a task that runs for as long as the server does. */
void dispatch_run(gee_ctx *ctx, void *arg);

#endif
