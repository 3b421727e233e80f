/* Inside of a channel, for select. All under ch->lock. */
#ifndef GEE_SYNC_CHAN_H
#define GEE_SYNC_CHAN_H

#include "gee/chan.h"
#include "sync/waitq.h"

struct gee_chan {
    /* Constant. */
    size_t elem_size, stride, cap;

    _Atomic int refs;
    gee_spin lock;

    /* Under lock. The ring holds len values from head on; senders wait only while it
     * is full, receivers only while it is empty. */
    bool closed;
    size_t head, len;
    struct gee_waitq sendq, recvq;
    struct gee_users users;
    uint64_t last[2]; /* by gee_case_op: id of the task that tried it last; 0: none has */
    char ring[];
};

/* What a task that is parked in a select waits for. */
struct gee_selecting {
    const gee_case *cases;
    size_t n;
};

/* One try with the lock held: 0, UV_EPIPE, UV_EOF, or UV_EAGAIN. */
int gee_chan_try_locked(gee_chan *ch, enum gee_case_op op, void *elem);
/* Queues w, which then gets w->rc when it is woken. */
void gee_chan_enqueue(gee_chan *ch, enum gee_case_op op, gee_waiter *w);
void gee_chan_dequeue(gee_chan *ch, enum gee_case_op op, gee_waiter *w);

#endif
