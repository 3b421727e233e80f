/*
 * One input of the fuzzer: what a client sends, how it is cut, and how the client ends.
 * The same code is run by libFuzzer (tests/fuzz/target.c) and, over the corpus, by
 * tests/common/test_fuzz_corpus.c.
 */
#ifndef GEE_TESTS_FUZZ_H
#define GEE_TESTS_FUZZ_H

#include "gee/gee.h"
#include <stddef.h>
#include <stdint.h>

/*
 * The first bytes of an input; the rest is the client's.
 *   ENDING  how the client ends: see enum fuzz_ending, modulo its size; times 4, the
 *           seed of the order in which tasks run
 *   CUT     into pieces of so many bytes; 0: one piece; from 128: pieces of up to
 *           (CUT - 127) bytes, drawn
 *   PAUSE   virtual ms between two pieces, times 4; from 252: beyond the limits of time
 *   ROOM    bytes on the way in each direction before a write parks, times 8; 0: 1 MiB
 */
enum { FUZZ_ENDING, FUZZ_CUT, FUZZ_PAUSE, FUZZ_ROOM, FUZZ_HEAD };

enum fuzz_ending {
    FUZZ_WAITS,  /* says that it has no more, and reads all answers meanwhile */
    FUZZ_SLOW,   /* the same, but reads now and then */
    FUZZ_CLOSES, /* reads nothing */
    FUZZ_RESETS,
};

/* Runs it in a runtime of its own. NULL, or what did not hold, in a static buffer. */
const char *fuzz_one(const uint8_t *data, size_t n);
/* Parses it whole and cut, by CUT; 0: byte by byte. With an odd PAUSE it may have more header
 * fields. NULL, or what did not hold. */
const char *fuzz_ways(const uint8_t *data, size_t n);

/* Routes of every kind. */
void fuzz_routes(gee_group *root);
extern const gee_limits fuzz_limits;
/* Requests that have come to a route since it was set to 0. */
extern _Atomic int fuzz_requests;

/*
 * Whether these are responses, one after the other, and nothing else, and not more than
 * `most` of them. whole: the connection came to its end, and was not cut. NULL, or what
 * is wrong.
 */
const char *fuzz_check(const char *text, size_t n, size_t most, bool whole);

#endif
