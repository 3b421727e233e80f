/*
 * Waitgroup, mutex and rwmutex that park tasks instead of blocking threads;
 * Go's sync package. Shared by tasks of any worker.
 *
 * A zeroed one is ready for use and needs no destroy. It may not be copied or
 * freed while a task waits for it or holds it.
 */
#ifndef GEE_SYNC_H
#define GEE_SYNC_H

#include "gee/task.h"
#include <stdatomic.h>
#include <stdbool.h>

/* Tasks that wait, first come first. */
struct gee_waitq {
    struct gee_waiter *first, *last;
};

/*
 * For the leak check (gee/debug.h): from which tasks those descend who have used an object;
 * more: too many to say, or also who is no task.
 */
enum { GEE_USERS = 3 };
struct gee_users {
    uint64_t family[GEE_USERS];
    bool more;
};

/* --- waitgroup --- */

typedef struct gee_waitgroup {
    atomic_bool lock; /* over the other fields */
    struct gee_waitq queue;
    long count;
    uint64_t adder; /* id of the task that last added; 0: it was none */
    struct gee_users users;
} gee_waitgroup;

/*
 * Adds n, which may be negative. 0, or UV_EINVAL: the count would fall below zero
 * (Go panics); it is unchanged. At zero all waiters are released. An add from zero
 * must happen before the wait. From any worker's code.
 */
int gee_waitgroup_add(gee_waitgroup *wg, long n);
int gee_waitgroup_done(gee_waitgroup *wg); /* add(-1) */
/* Parks until the count is zero. 0, or ctx's error. */
#define gee_waitgroup_wait(ctx, wg) gee_waitgroup_wait_at(ctx, wg, GEE_HERE)
int gee_waitgroup_wait_at(gee_ctx *ctx, gee_waitgroup *wg, gee_site site);

/* --- mutex --- */

/*
 * First come, first served on one worker. A waiter on another one is woken when the lock is free,
 * and has it if nobody took it meanwhile; else it is first in the queue, and has it next. (Go's
 * passes a waiter over for a millisecond.) Held by nobody in particular: any task may unlock it.
 */
typedef struct gee_mutex {
    atomic_bool lock; /* over the other fields */
    struct gee_waitq queue;
    atomic_bool locked;
    bool woken;                /* a waiter that has not looked yet */
    uint64_t holder;           /* id of the task that locked it; 0: it was none */
    struct gee_worker *worker; /* on which that was */
    gee_site locked_at;
} gee_mutex;

/* 0: the caller holds it; ctx's error: it does not. */
#define gee_mutex_lock(ctx, m) gee_mutex_lock_at(ctx, m, GEE_HERE)
int gee_mutex_lock_at(gee_ctx *ctx, gee_mutex *m, gee_site site);
#define gee_mutex_trylock(m) gee_mutex_trylock_at(m, GEE_HERE)
bool gee_mutex_trylock_at(gee_mutex *m, gee_site site);
/* 0, or UV_EINVAL: it is not locked (Go panics). From any worker's code. */
int gee_mutex_unlock(gee_mutex *m);

/* --- rwmutex --- */

/*
 * Many readers or one writer. A waiting writer stops new readers, so that it is
 * not starved; a task that holds the read lock must therefore not ask for it
 * again (Go documents the same).
 */
enum { GEE_HOLDERS = 4 };
typedef struct gee_rwmutex {
    atomic_bool lock; /* over the other fields */
    struct gee_waitq queue;
    long readers;                  /* that hold it; -1: a writer does */
    uint64_t holders[GEE_HOLDERS]; /* ids of those tasks; 0: none, or somebody else */
} gee_rwmutex;

#define gee_rwmutex_rlock(ctx, m) gee_rwmutex_rlock_at(ctx, m, GEE_HERE)
#define gee_rwmutex_lock(ctx, m)  gee_rwmutex_lock_at(ctx, m, GEE_HERE)
int gee_rwmutex_rlock_at(gee_ctx *ctx, gee_rwmutex *m, gee_site site);
int gee_rwmutex_lock_at(gee_ctx *ctx, gee_rwmutex *m, gee_site site);
/* 0, or UV_EINVAL: not held for reading, for writing (Go panics). */
int gee_rwmutex_runlock(gee_rwmutex *m);
int gee_rwmutex_unlock(gee_rwmutex *m);

#endif
