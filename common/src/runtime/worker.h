/*
 * Workers: a thread, its libuv loop, its run queue and its inbox.
 *
 * Everything in a worker is its own thread's, except the inbox: the one door
 * for other threads. What they want done (a wake-up, a timer to stop, a task to
 * start) is a gee_work that its loop runs.
 *
 * The seams. How time passes and what runs next is asked of a gee_driver: the
 * real one waits in libuv and takes tasks in order, the simulated one jumps to
 * the next timer and lets a seed choose.
 */
#ifndef GEE_RUNTIME_WORKER_H
#define GEE_RUNTIME_WORKER_H

#include "base/list.h"
#include "runtime/stack.h"
#include "runtime/task.h"
#include "runtime/timer.h"
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

typedef struct gee_worker gee_worker;
typedef struct gee_runtime gee_runtime;

typedef struct gee_driver {
    int (*start)(gee_worker *w);
    uint64_t (*now_ns)(gee_worker *w);
    /* Lets the outside in: polls, or, if nothing is runnable, waits.
     * GEE_EDEADLK: there is nothing to wait for. */
    int (*poll)(gee_worker *w);
    /* Which task of the run queue, which is not empty, goes next. */
    gee_task *(*next)(gee_worker *w);
    uint64_t (*wall_ms)(void); /* Unix time */
} gee_driver;

extern const gee_driver gee_driver_real, gee_driver_sim;

struct gee_worker {
    /* Any thread. */
    gee_runtime *rt;
    int index;
    _Atomic(gee_work *) inbox; /* a stack, latest first */
    uv_async_t bell;           /* rung when the inbox was empty */
    /* Listeners are paused, or about to be; fd_free is on its way here: listen.c. */
    _Atomic bool waits_for_fd, told_of_fd;
    gee_work fd_free;

    /* This thread's alone. */
    uv_loop_t loop;
    uv_timer_t alarm; /* set to the earliest timer */
    uv_prepare_t prepare;
    uint64_t alarm_ms;
    gee_timers timers;
    uint64_t now_ns; /* as of the latest poll, or of the first of its callbacks */
    gee_list runq;
    size_t runq_len;
    int slices; /* that may still run before timers and other callbacks have their turn */
    gee_work *deferred, **deferred_end; /* work to do on the loop, in order */
    gee_list tasks;
    size_t ntasks;    /* of these */
    bool busy;        /* counted in rt->busy: it has tasks, or had some in this turn */
    gee_list starved; /* tasks: no memory for a stack yet */
    gee_work *hungry; /* work for which there was no memory, latest first */
    gee_timer again;  /* armed while any of these two waits */
    gee_list paused;  /* listeners: no descriptor for a connection yet */
    gee_list servers; /* what listens here: of the layer above */
    struct gee_io *dead, **dead_end; /* to be closed later, in order: transport.h */
    size_t ndead;
    uint64_t dead_since_ns; /* when the first of them came there, that found none */
    int died, closes;       /* in this turn; and how many of these may still be closed at once */
    gee_task *current;
    gee_origins origins;
    struct gee_probe *probe; /* the first of those who look on; NULL: nobody does */
    /* In the task, when a wait is over, with its reason still in it; NULL: nobody asks. */
    void (*on_waited)(gee_task *t, uint64_t waited_ns);
    gee_stack_cache stacks;
    gee_panic_info panic; /* of a task that has panicked, until that parks */
    void *sched;          /* the loop's own context while a task runs */
    uv_sem_t *held; /* where others stand still for one of its tasks, nheld of them: standstill.c */
    int nheld;
    void *fiber;
    void *fake_stack;
    const void *stack_low;
    char *signal_stack; /* GEE_SIGNAL_STACK bytes */
    stack_t signal_stack_before;
    bool signal_stack_on;
    size_t stack_size;
    uint64_t rng;
    uv_thread_t thread;
    char *read_buf; /* GEE_READ_BUF bytes, for reads that end before the next one starts */
    ssize_t nread;  /* of the latest of them: tcp.c */
    uint64_t next_id;
    uint64_t turns;            /* in simulation: how often a task was let run */
    bool left_over, loop_busy; /* found by gee_worker_close, for who joins the thread */
};

enum { GEE_READ_BUF = 64 * 1024, GEE_SIGNAL_STACK = 64 * 1024 };

struct gee_runtime {
    const gee_driver *driver;
    size_t stack_size;
    uint64_t grace_ms;
    int nworkers;
    gee_worker *workers;
    uint64_t seed;
    uint64_t run; /* 1, 2, 3 …: the how-manyth of this process */
    /* Workers that have tasks, and tasks that are on their way to one; 0: there is none. So a task
     * costs no locked instruction, but a turn of an idle worker in which there were some. */
    _Atomic int64_t busy;
    _Atomic bool main_done, stop;
    _Atomic int waiting_for_fd;     /* workers */
    uv_sem_t through;               /* a worker has left its loop for good; has settled */
    uv_sem_t may_settle, may_close; /* all have */
    uint64_t deadline_ns;           /* worker 0's: when the grace after main ends */
    gee_timer grace;
    bool sim, deadlock;
};

/* rt's settings are filled in; makes its workers, starts no thread. 0 or an error. */
int gee_runtime_init(gee_runtime *rt, int nworkers);
/* Workers 1 and up, each on its thread. */
int gee_runtime_start_threads(gee_runtime *rt);
/* On worker 0's thread. Stops and joins the others, drops what is left and frees
 * everything. 0 or UV_EBUSY: something was left. */
int gee_runtime_close(gee_runtime *rt);

int gee_worker_init(gee_worker *w, gee_runtime *rt, int index);
/* The calling thread becomes w, and stops being it. */
void gee_worker_enter(gee_worker *w);
void gee_worker_leave(void);
/* Until the runtime stops (worker 0: until main and all tasks are done). 0 or GEE_EDEADLK. */
int gee_worker_loop(gee_worker *w);
/* Those who stand still for a task of w go on. */
void gee_worker_let_go(gee_worker *w);
/* When all have left their loops: does what they have sent, and what the loop still brings. */
void gee_worker_settle(gee_worker *w);
/* When all have settled: drops the tasks that are left and closes the loop. */
void gee_worker_close(gee_worker *w);
/* Something is on its way to w that will start a task there, and has arrived: at which time
 * it is w that is busy. From any thread; on w's own. */
void gee_worker_expects(gee_worker *w);
void gee_worker_arrived(gee_worker *w);
/* A task has joined w, and on w's thread. */
static inline void gee_worker_add_task(gee_worker *w) {
    w->ntasks++;
    if (!w->busy) {
        w->busy = true;
        atomic_fetch_add(&w->rt->busy, 1);
    }
}

static inline uint64_t gee_driver_now(gee_worker *w) {
    return w->rt->driver->now_ns(w);
}

/* 1, 2, 3 … on one worker; never the same on two. */
static inline uint64_t gee_task_next_id(gee_worker *w) {
    return w->next_id++ * (uint64_t)w->rt->nworkers + (uint64_t)w->index + 1;
}

extern GEE_TLS_OF_HANDLERS gee_worker *gee_this_worker; /* NULL outside */
#ifdef GEE_TSAN
gee_worker *gee_worker_self(void); /* not where code is instrumented */
#else
static inline gee_worker *gee_worker_self(void) {
    return gee_this_worker;
}
#endif
gee_runtime *gee_runtime_current(void);

/*
 * Aborts, naming both workers, unless the caller is w. `what` names the thing. Under TSan and
 * Valgrind it only names them: what these have to say of it comes with both stacks.
 */
void gee_worker_check(const gee_worker *w, const char *what);

/*
 * First in every callback of libuv: what it stamps with now_ns is stamped with the time at which
 * the poll ended and not with that at which it began, which may be hours ago.
 */
void gee_worker_awake(gee_worker *w);

/* Work for w's loop, from any thread; in the order sent. */
void gee_post(gee_worker *w, gee_work *work);
/* Work for the calling worker's loop. */
void gee_defer(gee_work *work);

/* Calls work->fn again in a while: there was no memory for what it has to do, and nobody
 * who could be told. On the worker's own thread. Needs no memory. */
void gee_work_again(gee_work *work);
/* The same for the tasks that wait for a stack. */
void gee_worker_hungry(gee_worker *w);

/* The time now, asked of the clock and not of the latest poll. */
uint64_t gee_clock_ns(void);
/* In so many ms. No timer is set further than GEE_FAR_NS, some 292 years: it means never. */
#define GEE_FAR_NS ((uint64_t)INT64_MAX)
uint64_t gee_clock_in_ms(uint64_t ms);
uint64_t gee_wall_ms(void);
uint64_t gee_random(gee_worker *w);

void gee_worker_run_deferred(gee_worker *w);
void gee_worker_read_inbox(gee_worker *w);
void gee_worker_free_buffers(gee_worker *w);
/*
 * For a callback of libuv that began with an empty run queue, as its last act: the tasks that it
 * has made runnable run now, while what it has read is in the cache, and not behind the callbacks
 * of all other sockets. Not many of them, nor more than there are slices between two polls.
 */
void gee_worker_run_at_once(gee_worker *w);
void gee_worker_print_tasks(gee_worker *w, const char *title);

#endif
