/*
 * It does not matter how the bytes of a connection are cut into reads: each row of
 * tests/lib/t_wire.c, and what else is here, is sent whole, then in two pieces cut at
 * every place, then byte by byte, and what comes back is the same to the byte.
 */
#include "t_site.h"
#include "t_wire.h"
#include <stdlib.h>
#include <string.h>

static const t_wire *row; /* one test at a time */

/* All that comes back, and the end. */
static char *exchange(gee_ctx *ctx, int port, size_t cut, size_t step) {
    t_conn *c = t_dial(port, 0);
    int rc = t_send(ctx, c, row->bytes, cut);
    gee_sleep(ctx, 0); /* the server's loop has its turn in between */
    for (size_t at = cut; rc == 0 && at < row->n; at += step) {
        rc = t_send(ctx, c, row->bytes + at, row->n - at < step ? row->n - at : step);
        if (step == 1)
            gee_sleep(ctx, 0);
    }
    t_half_close(c); /* a client that waits for its answers */
    char *all = strdup(t_all(ctx, c));
    if (t_more(ctx, c) != 0) {
        free(all);
        all = strdup("reset");
    }
    t_close(ctx, c);
    return all;
}

static void compare(const char *how, size_t cut, const char *want, char *got) {
    if (strcmp(want, got) != 0)
        t_fail(__FILE__, __LINE__, "%s, %s at %zu: \"%s\", not \"%s\"", row->name, how, cut, got,
               want);
    free(got);
}

static void body(gee_ctx *ctx, t_conn *c, int port) {
    (void)c;
    char *want = exchange(ctx, port, row->n, row->n);
    if (strncmp(want, "HTTP/1.1 ", 9) != 0)
        t_fail(__FILE__, __LINE__, "%s: \"%s\"", row->name, want);
    for (size_t cut = 1; cut < row->n && !t_failed(); cut++)
        compare("cut", cut, want, exchange(ctx, port, cut, row->n));
    compare("by bytes", row->n, want, exchange(ctx, port, 0, 1));
    free(want);
}

static void test(void **state) {
    row = *state;
    t_site_once(&(t_site){t_wire_routes, body, &t_wire_limits, 0});
}

int main(int argc, char **argv) {
    return t_wire_main("split", test, argc, argv);
}
