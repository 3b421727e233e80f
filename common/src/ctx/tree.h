/* A ctx as the files of this layer see it. */
#ifndef GEE_CTX_TREE_H
#define GEE_CTX_TREE_H

#include "ctx/ctx.h"
#include "runtime/worker.h"

struct gee_ctx {
    /* Constant. */
    gee_ctx *parent; /* holds a reference; NULL: the background */
    gee_ctx *timed;  /* the nearest from here up that has a deadline of its own; NULL: none */
    bool kept;       /* that deadline is its maker's to move */
    bool timeless;   /* it has no deadline of its own, and its memory ends in front of that */
    bool detached;   /* the parent is asked for values, and ends without it */
    gee_spin lock;
    int cause; /* under lock, as watches and ended_ns are */
    const void *key;
    void *value;
    void (*free_value)(void *);
    gee_list watches;
    uint64_t ended_ns;

    /* Written under lock, read by anyone; cause and ended_ns are set before err. */
    _Atomic int err;
    _Atomic int refs;

    /* Under the parent's lock: its watch on the parent. While linked it is a reference. */
    gee_watch on_parent;

    _Atomic uint64_t deadline_ns; /* of its own */
    /* The timer is its worker's, if there is one; `disarm` asks that worker to stop it. */
    gee_worker *worker;
    gee_timer timer;
    gee_work disarm;
};

/* A child that does not end with its parent yet, and may get a deadline: its maker does the rest.
 * NULL: no memory. */
gee_ctx *gee_ctx_new_child(gee_ctx *parent);
/* From now on it does. The reference that its parent holds, the background's children too, is
 * dropped when it ends. Returns ctx. */
gee_ctx *gee_ctx_follow_parent(gee_ctx *ctx);
/* Its own end: it also leaves its parent, which then no longer holds it. */
void gee_ctx_end_and_leave(gee_ctx *ctx, int err, int cause);
/* deadline.c: the timer is its worker's; who ends the ctx may be on another. */
void gee_ctx_stop_timer(gee_ctx *ctx);

#endif
