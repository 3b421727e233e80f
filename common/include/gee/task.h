/*
 * Tasks: straight-line code that parks instead of blocking its thread.
 *
 * A task has a stack of its own and stays on the worker (thread and loop) that
 * started it. Tasks of one worker never run at the same time; they change over
 * only where one parks, yields or ends.
 */
#ifndef GEE_TASK_H
#define GEE_TASK_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h> /* every error is one of its UV_E* codes: uv_strerror explains it */

typedef struct gee_ctx gee_ctx;
typedef struct gee_task gee_task;

/* "file.c:41": where a task was started, or where it parked. A string literal. */
typedef const char *gee_site;
#define GEE_STR_(x) #x
#define GEE_STR(x)  GEE_STR_(x)
#define GEE_HERE    (__FILE__ ":" GEE_STR(__LINE__))

typedef void (*gee_task_fn)(gee_ctx *ctx, void *arg);

/*
 * Starts fn(ctx, arg) as a task of the calling worker. It becomes runnable and
 * first runs when its turn comes, never before gee_go returns.
 *
 * ctx owns the task: the runtime keeps a reference on it until the task ended,
 * and fn is expected to end soon after ctx did. arg stays the caller's.
 * Call from a task or from a callback of the worker's loop.
 * 0, or UV_ENOMEM: the task was not started.
 */
#define gee_go(ctx, fn, arg) gee_go_at(ctx, fn, arg, #fn, GEE_HERE)
int gee_go_at(gee_ctx *ctx, gee_task_fn fn, void *arg, const char *name, gee_site site);

/*
 * The same on worker `index` (0 … gee_workers() - 1), from any worker.
 * UV_EINVAL: no such worker.
 */
#define gee_go_on(index, ctx, fn, arg) gee_go_on_at(index, ctx, fn, arg, #fn, GEE_HERE)
int gee_go_on_at(int index, gee_ctx *ctx, gee_task_fn fn, void *arg, const char *name,
                 gee_site site);

/* Lets the other runnable tasks of this worker run first. Call from a task. */
void gee_yield(void);

/*
 * Parks the task for at least `ms` milliseconds. 0, or, if ctx ends first, its
 * error at once (UV_ECANCELED, UV_ETIMEDOUT). UV_ENOMEM: it did not sleep.
 */
#define gee_sleep(ctx, ms) gee_sleep_at(ctx, ms, GEE_HERE)
int gee_sleep_at(gee_ctx *ctx, uint64_t ms, gee_site site);

/*
 * Runs fn(arg) on libuv's threadpool and parks the task until it is done.
 * For what cannot park: DNS, files, a library that blocks. fn may call nothing
 * of this library.
 * 0: fn ran. If ctx ends before fn was started, fn never runs and ctx's error is
 * returned. Once fn runs, the call waits for it whatever ctx says: a thread
 * cannot be stopped from outside, and arg may be on this task's stack.
 * What hangs can keep all threads but one for each other lane: gee/lane.h.
 * In simulation fn runs at once when one of as many simulated threads is free, and in no
 * virtual time, unless it asks for some (gee_sim_blocking_ms).
 */
#define gee_blocking(ctx, fn, arg) gee_blocking_at(ctx, fn, arg, GEE_HERE)
int gee_blocking_at(gee_ctx *ctx, void (*fn)(void *arg), void *arg, gee_site site);

/* The running task; NULL outside tasks. Valid while the task lives. */
gee_task *gee_task_self(void);
uint64_t gee_task_id(const gee_task *t);
/* Its name in dumps and profiles; copied, and cut to 31 bytes. */
void gee_task_set_name(gee_task *t, const char *name);

/* The index of the calling worker, -1 outside; and how many there are. */
int gee_worker_index(void);
int gee_workers(void);

/* Time of the calling worker: monotonic, virtual in simulation. */
uint64_t gee_now_ns(void);
uint64_t gee_now_ms(void);

/* A random number, of the calling worker; in simulation it follows from the seed. For jitter and
 * the like, not for secrets: who has seen some can tell the others. */
uint64_t gee_random_number(void);

#endif
