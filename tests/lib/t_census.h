/*
 * A row in the table of `make census` (tests/tools/census.py): how many of each kind there are
 * at most while 100 visitors come and go, and how many are left when all of them have gone.
 *
 * A case joins the table with one more test in its program, named census_ and the case, with _
 * for -. The manifest does not name it; census.py runs it, over the broken and the fixed side.
 * Two things make it: the routes, which the case's test has already, and a visitor.
 *
 *     static void reader(gee_ctx *ctx, int port, int i) {
 *         … dials, asks, and leaves, as a client of this case does …
 *     }
 *
 *     T_CENSUS(sse_disconnect, routes, reader)
 *     …
 *         cmocka_unit_test(census_sse_disconnect),
 *
 * A case that is not a server's measures in a body of its own: t_census_visits, then
 * t_census_say. What is left is taken a minute (of virtual time) after the last visitor: what ends
 * by itself has ended by then. A visitor waits for what it started, and closes what it opened.
 */
#ifndef GEE_TESTS_T_CENSUS_H
#define GEE_TESTS_T_CENSUS_H

#include "t_site.h"

enum { T_VISITS = 100, T_VISIT_EVERY_MS = 10 };

/* Both above what there was before the first visit. */
typedef struct t_row {
    gee_census peak, left;
    int64_t peak_requests, left_requests; /* requests and copies together */
} t_row;

/*
 * Calls visit(ctx, i, arg) for i from 0 to 99, one every 10 ms, or one behind the other where
 * they take longer. It looks every ms, and whenever t_census_look is called.
 * From a task; one at a time. On the real loop the visits come one behind the other, and what is
 * left has half a second at most.
 */
void t_census_visits(gee_ctx *ctx, void (*visit)(gee_ctx *ctx, int i, void *arg), void *arg,
                     t_row *row);
void t_census_look(void);

/* Prints the row for census.py. False: something is left. */
bool t_census_say(const char *name, const t_row *row);

/* A server with these routes and its visitors, in simulation. Fails if something is left. */
void t_census_site(const char *name, void (*routes)(gee_group *root),
                   void (*visit)(gee_ctx *ctx, int port, int i));
#define T_CENSUS(name, routes, visit)         \
    static void census_##name(void **state) { \
        (void)state;                          \
        t_census_site(#name, routes, visit);  \
    }

#endif
