/*
 * A task and its states.
 *
 *   gee_task_spawn          gee_park_wait
 *        |               +----------------+
 *        v               |                v
 *    RUNNABLE ------> RUNNING          WAITING(reason)
 *        ^               |                |
 *        +---------------+----------------+
 *          gee_yield     |     gee_wake
 *                        v
 *                      DEAD: off all lists, its stack is back in the cache
 *
 * A stack is taken when the task first runs, not when it is spawned: tasks that
 * run one after another to their end share one hot stack. A task that the loop starts while no
 * other waits for its turn, a request's, takes it at once, for it runs next; and it lives on top
 * of its stack, in a page that is there anyway.
 */
#ifndef GEE_RUNTIME_TASK_H
#define GEE_RUNTIME_TASK_H

#include "base/list.h"
#include "base/tools.h"
#include "gee/panic.h"
#include "runtime/origin.h"
#include "runtime/stack.h"
#include <stdbool.h>

enum gee_task_state { GEE_TASK_RUNNABLE, GEE_TASK_RUNNING, GEE_TASK_WAITING, GEE_TASK_DEAD };

#define GEE_WAIT_REASONS(X)            \
    X(NONE, "")                        \
    X(SLEEP, "sleep")                  \
    X(CHAN_SEND, "chan send")          \
    X(CHAN_RECV, "chan receive")       \
    X(SELECT, "select")                \
    X(WAITGROUP, "waitgroup wait")     \
    X(MUTEX, "mutex lock")             \
    X(RWMUTEX_R, "rwmutex read lock")  \
    X(RWMUTEX_W, "rwmutex write lock") \
    X(CTX, "ctx done")                 \
    X(BLOCKING, "blocking work")       \
    X(THREAD, "pool thread")           \
    X(IO_READ, "io read")              \
    X(IO_WRITE, "io write")

enum gee_wait_reason {
#define X(id, text) GEE_WAIT_##id,
    GEE_WAIT_REASONS(X)
#undef X
};

const char *gee_wait_reason_text(enum gee_wait_reason r);
const char *gee_task_state_text(enum gee_task_state s);

/* Something to do on a worker's loop, outside tasks; memory is the sender's until fn runs. */
typedef struct gee_work {
    struct gee_work *next;
    void (*fn)(struct gee_work *w);
} gee_work;

struct gee_worker;
typedef struct gee_recovery gee_recovery;

struct gee_task {
    /* Set at creation, read by anyone who may look at the task. */
    uint64_t id;
    struct gee_worker *worker;
    gee_site created_at;
    uint64_t created_ns;
    uint64_t family; /* id of the task of the loop or of main from which it descends */
    char name[32];

    /* The worker's alone. */
    gee_origin *origin; /* until it has joined its worker: of the task that created it */
    gee_list link;      /* in its run queue */
    gee_list all;       /* in its list of tasks */
    gee_list kin;       /* a ring without a head: its family, as far as it is on this worker */
    enum gee_task_state state;
    enum gee_wait_reason reason;
    uint64_t since_ns; /* in this state */
    gee_site parked_at;
    gee_ctx *wait_ctx; /* that ends this wait; NULL: none does */
    struct gee_park *park;
    gee_stack stack;
    bool on_stack; /* this struct is */
    void *fctx;
#ifdef GEE_TSAN
    void *fiber;
#endif
#ifdef GEE_ASAN
    void *fake_stack;
#endif

    /* Wake-ups from other workers. */
    gee_work wake;

    /* What a trace that is being recorded notes here (trace/recorder.c). */
    struct {
        uint64_t ready_ns, by; /* when it became runnable, by which task's doing; 0: the loop's */
        uint64_t parked_ns;
        uint64_t born_ns;   /* 0: before the recording */
        uint64_t served_ns; /* the end of its latest request */
        int by_worker;
        uint16_t name; /* 0: not looked up since it has it */
    } traced;

    /* The task's owner: kept for the layer above. */
    gee_task_fn fn;
    void *arg;
    gee_ctx *owner;
    void (*on_panic)(gee_task *t, const gee_panic_info *info); /* nobody recovered it */
    void (*on_exit)(gee_task *t);                              /* in the task, as its last act */

    /* The task's own: on its stack (panic.c). */
    gee_recovery *recovery;
    gee_cleanup *cleanups;
};

typedef struct gee_spawn {
    gee_task_fn fn;
    void *arg;
    gee_ctx *owner;
    void (*on_panic)(gee_task *t, const gee_panic_info *info);
    void (*on_exit)(gee_task *t);
    const char *name;
    gee_site site;
} gee_spawn;

/* A runnable task of w, from any worker; 0 or UV_ENOMEM. */
int gee_task_spawn(struct gee_worker *w, const gee_spawn *s);

/* Of the calling task; 0: there is none. */
uint64_t gee_task_family(void);

/* One slice: until the task parks, yields or ends. For the worker's loop. */
void gee_task_run(struct gee_worker *w, gee_task *t);
/* Stacks for those that wait for one. False: there are not enough. */
bool gee_task_feed(struct gee_worker *w);
/* Makes a waiting task runnable, from any thread. Once for each time it parks. */
void gee_task_ready(gee_task *t);
/* Back to the loop. The state was set before. */
void gee_task_switch_out(gee_task *t);
/* The calling task t has panicked, its cleanups have run, and the worker's panic says how. */
_Noreturn void gee_task_end_by_panic(gee_task *t);
/* Frees a task that will never run again, where it stands. */
void gee_task_abandon(gee_task *t);

#endif
