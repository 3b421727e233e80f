/*
 * The queue of tasks that wait for a channel, a lock or a waitgroup. It lives
 * under the lock of that object; a waiter lives on its task's stack and is taken
 * back by the task, under the same lock, when something else ended the wait.
 */
#ifndef GEE_SYNC_WAITQ_H
#define GEE_SYNC_WAITQ_H

#include "base/spin.h"
#include "ctx/ctx.h"
#include "gee/sync.h"
#include "runtime/park.h"

typedef struct gee_waiter {
    struct gee_waiter *next, *prev;
    bool queued;
    gee_park *park;
    int index;     /* under which it claims the park */
    int kind;      /* the queue's own */
    gee_site site; /* where it waits */
    void *elem;
    int rc;
} gee_waiter;

/* Notes that the calling task knows the object, or, with family 0, that a callback does. */
void gee_users_add(struct gee_users *u);

/* The start of a waitgroup whose done is called by callbacks of a loop: for the leak check. */
#define GEE_DONE_BY_CALLBACKS ((gee_waitgroup){.users = {.more = true}})

/* Index by which the ctx ends a wait; all others are >= 0. */
enum { GEE_BY_CTX = 1 << 20 };

void gee_waitq_push(struct gee_waitq *q, gee_waiter *w); /* at the end */
void gee_waitq_push_first(struct gee_waitq *q, gee_waiter *w);
void gee_waitq_del(struct gee_waitq *q, gee_waiter *w); /* nothing, if it is not queued */
/* The first one whose park could be claimed is off the queue and has to be made
 * ready with gee_task_ready(w->park->task); the others were being ended by someone else. */
gee_waiter *gee_waitq_claim(struct gee_waitq *q);

/*
 * Parks on q, of the object `on`, under `w`, at the end if it is not queued already. The lock is
 * held on entry and not on return.
 * 0: somebody claimed w; else ctx's error.
 */
int gee_waitq_wait(gee_ctx *ctx, gee_spin *lock, struct gee_waitq *q, gee_waiter *w, const void *on,
                   enum gee_wait_reason reason, gee_site site);

/*
 * Waits for `park`, exposed to others already, or for ctx, which is kept until
 * then. The winner's index; GEE_BY_CTX: *err is ctx's error.
 */
int gee_park_wait_ctx(gee_park *park, gee_ctx *ctx, enum gee_wait_reason reason, gee_site site,
                      int *err);

#endif
