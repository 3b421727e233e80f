/*
 * What goes over the wire, as a table: bytes of a client, and the answers that they
 * get. It is used by tests in simulation, on real sockets, and by those that cut the
 * bytes at every place.
 */
#ifndef GEE_TESTS_T_WIRE_H
#define GEE_TESTS_T_WIRE_H

#include "t.h"

typedef struct t_wire {
    const char *name; /* of the test */
    const char *bytes;
    size_t n;
    /* The statuses of all answers in order, and whether the connection is then "open"
     * for more requests, or "close": "200 200 400 close". */
    const char *answers;
} t_wire;

extern const t_wire t_wires[];
extern const size_t t_nwires;

extern const gee_limits t_wire_limits;
/* GET /hello/:name; POST /echo; POST /ignore; GET /host, which says what Host is; GET /empty: 204.
 */
void t_wire_routes(gee_group *r);

/* A test for each row, named after it; `test` gets the row as *state. */
int t_wire_main(const char *group, void (*test)(void **state), int argc, char **argv);

#endif
