/*
 * It does not matter how the bytes of a connection are cut into reads: each row of
 * tests/lib/t_wire.c, and what else is here, is sent whole, then in two pieces cut at
 * every place, then byte by byte, and what comes back is the same to the byte. So it
 * is for the same rows with some of their bytes replaced.
 */
#include "base/tools.h"
#include "t_site.h"
#include "t_wire.h"
#include <stdio.h>
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

/* Whether an answer says that it is the last depends on whether the fault in a body that
 * its handler does not want has come by then; noise is compared without that. */
static char *without_close(char *all) {
    static const char line[] = "Connection: close\r\n";
    for (char *at; (at = strstr(all, line)) != NULL;)
        memmove(at, at + sizeof(line) - 1, strlen(at + sizeof(line) - 1) + 1);
    return all;
}

static void compare(const char *how, size_t cut, const char *want, char *got) {
    if (strcmp(want, row->answers ? got : without_close(got)) != 0)
        t_fail(__FILE__, __LINE__, "%s, %s at %zu: \"%s\", not \"%s\"", row->name, how, cut, got,
               want);
    free(got);
}

static void compare_cuts(gee_ctx *ctx, int port, size_t step) {
    char *want = exchange(ctx, port, row->n, row->n);
    if (row->answers == NULL)
        without_close(want);
    for (size_t cut = step; cut < row->n && !t_failed(); cut += step)
        compare("cut", cut, want, exchange(ctx, port, cut, row->n));
    compare("by bytes", row->n, want, exchange(ctx, port, 0, 1));
    free(want);
}

static uint32_t draw(uint32_t *seed, uint32_t below) {
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % below;
}

/* Few under a tool that makes everything slow: `make fuzz` has many, under ASan. */
enum { NOISES = GEE_POOLS ? 20 : 4, NOISY = 600 };

/* The row with one to three of its bytes replaced by such as mean something. */
static void compare_noise(gee_ctx *ctx, int port, const t_wire *plain) {
    static const char some[] = "\r\n\r\n \t:;,/*?#%0123aAfFxX\"\x7f\x80";
    char noise[NOISY];
    t_wire noisy = *plain;
    uint32_t seed = (uint32_t)plain->n;
    if (plain->n > sizeof(noise))
        return;
    noisy.bytes = noise;
    noisy.answers = NULL; /* nobody knows */
    row = &noisy;
    for (int i = 0; i < NOISES && !t_failed(); i++) {
        memcpy(noise, plain->bytes, plain->n);
        for (uint32_t n = 1 + draw(&seed, 3); n > 0; n--)
            noise[draw(&seed, (uint32_t)plain->n)] = some[draw(&seed, sizeof(some))];
        compare_cuts(ctx, port, 1 + plain->n / 8);
        if (t_failed())
            fprintf(stderr, "noise %d: %.*s\n", i, (int)plain->n, noise);
    }
    row = plain;
}

static void body(gee_ctx *ctx, t_conn *c, int port) {
    (void)c;
    compare_cuts(ctx, port, 1);
    if (!t_failed())
        compare_noise(ctx, port, row);
}

static void test(void **state) {
    row = *state;
    t_site_once(&(t_site){t_wire_routes, body, &t_wire_limits, 0});
}

int main(int argc, char **argv) {
    return t_wire_main("split", test, argc, argv);
}
