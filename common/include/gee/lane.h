/*
 * Lanes: kinds of blocking work that cannot take each other's threads.
 *
 * Blocking work runs on libuv's threadpool, which has UV_THREADPOOL_SIZE threads for the whole
 * process, 4 unless that is set. Nothing ends it from outside: a call that hangs, in a database
 * that does not answer or on a file system that has gone, keeps its thread, and a few of them
 * have them all. So each call is made in a lane, and a lane that has a thread gets another
 * one only as long as one is left for each lane that has none. While there are no more lanes than
 * threads, every lane finds a thread, whatever hangs in the others.
 *
 * gee_blocking has a lane to itself, and the framework has one, for files that are not in memory,
 * uploads and tracebacks: of 4 threads the calls of gee_blocking may hold 3. Give a lane of its own
 * to whatever can hang for a reason of its own, and UV_THREADPOOL_SIZE a value to match.
 */
#ifndef GEE_LANE_H
#define GEE_LANE_H

#include "gee/sync.h"

/*
 * With these two fields it is ready for use, from any worker, and needs no destroy:
 *   static gee_lane database = {.name = "database", .most = 2};
 * It stays where it is until gee_run has returned. It counts as a lane from its first call on.
 */
typedef struct gee_lane {
    const char *name;
    int most; /* calls that run at the same time; 0: as many as the others leave */

    /* The pool's, under its lock. */
    struct gee_lane *next;
    uint64_t run, turn;
    int held;
    struct gee_waitq queue;
} gee_lane;

/*
 * Runs fn(arg) as gee_blocking does, in this lane. Calls of a lane get their threads first come,
 * first served, and ctx ends the wait for one.
 * 0: fn ran. ctx's error: it ended before fn was started, and fn never runs.
 */
#define gee_blocking_in(lane, ctx, fn, arg) gee_blocking_in_at(lane, ctx, fn, arg, GEE_HERE)
int gee_blocking_in_at(gee_lane *lane, gee_ctx *ctx, void (*fn)(void *arg), void *arg,
                       gee_site site);

/*
 * For fn, in simulation: this call takes ms more of virtual time, during which its thread
 * is taken. Elsewhere it does nothing.
 */
void gee_sim_blocking_ms(uint64_t ms);

#endif
