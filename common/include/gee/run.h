/* Starting and ending the runtime, real or simulated. */
#ifndef GEE_RUN_H
#define GEE_RUN_H

#include "gee/task.h"
#include <errno.h>
#include <stdbool.h>

typedef struct gee_config {
    int workers;       /* threads; 0: $GEE_WORKERS, else 1. Simulation has one. At most 64. */
    size_t stack_kib;  /* of a task, 16 to 1048576; 0: $GEE_STACK_KIB, else 256 */
    uint64_t grace_ms; /* for the other tasks to end after main did; 0: 5,000 */

    /*
     * Simulation: time is virtual and jumps to the next timer when no task can
     * run, connections are in memory, and which of the runnable tasks goes next
     * follows from the seed. Nothing but the seed decides: a run replays.
     */
    bool sim;
    uint64_t seed; /* 0: $GEE_SEED, else first come, first served */
} gee_config;

/* Nothing can ever run again: libuv has no name for it. */
#define GEE_EDEADLK (-EDEADLK)

/*
 * Runs main(root, arg) as the first task, with the calling thread as worker 0,
 * and returns when it and all other tasks have ended. root is cancelled when
 * main returns; the others then have grace_ms. cfg may be NULL.
 *
 * 0, or
 *   UV_EBUSY     tasks or libuv handles were left over: listed on stderr. Left-over
 *                tasks are dropped where they were parked; what they hold is lost.
 *                Blocking work that still runs (gee_blocking) goes on, and so the
 *                process ends only when it does, unless by _exit.
 *   GEE_EDEADLK  simulation only: main was parked, and so was everyone, with no
 *                timer to wait for. The parked tasks are listed on stderr.
 *   GEE_EPANIC   main panicked (gee/panic.h), and that was logged
 *   UV_EINVAL    cfg or an environment variable is out of range (said on stderr)
 *   UV_ENOMEM, or what uv_loop_init and uv_thread_create return
 *
 * One runtime at a time. SIGPIPE is set to be ignored.
 */
int gee_run(const gee_config *cfg, gee_task_fn main, void *arg);

/* True between the start and the end of a simulated gee_run. */
bool gee_simulated(void);

#endif
