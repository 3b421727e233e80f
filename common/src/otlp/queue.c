/*
 * The queue of a signal: bounded by records and by bytes. Whoever offers a record never waits; one
 * for which there is no room is the one that is dropped, since those in the queue are older
 * and belong to what went wrong first.
 *
 * The task is woken for the first record in an empty queue, from which it counts the delay, and for
 * the one that makes a batch full; so a batch costs two wake-ups, however large it is.
 */
#include "otlp/otlp.h"
#include <stdlib.h>
#include <string.h>

/* True: the task has to look. */
static bool push(gee_otlp_pipe *p, gee_otlp_record *r, enum gee_otlp_fate *fate) {
    p->stats.offered++;
    if (p->closed || r == NULL || p->queued >= p->bounds.queue ||
        r->n > p->bounds.queue_bytes - p->queued_bytes) {
        *fate = r == NULL   ? GEE_OTLP_NO_MEMORY
                : p->closed ? GEE_OTLP_SHUTDOWN
                            : GEE_OTLP_QUEUE_FULL;
        p->stats.fates[*fate]++;
        return false;
    }
    *p->end = r;
    p->end = &r->next;
    p->queued_bytes += r->n;
    p->taken++;
    p->stats.waiting++;
    p->queued++;
    return p->queued == 1 || p->queued == p->bounds.batch;
}

int gee_otlp_push(gee_otlp *x, enum gee_otlp_signal signal, gee_otlp_record *r) {
    gee_otlp_pipe *p = &x->pipes[signal];
    enum gee_otlp_fate fate = GEE_OTLP_SENT; /* perhaps */
    gee_spin_lock(&p->lock);
    bool ring = push(p, r, &fate);
    gee_spin_unlock(&p->lock);
    if (ring)
        gee_chan_try_send(x->bell, NULL);
    if (fate == GEE_OTLP_SENT)
        return 0;
    if (r)
        r->drop(r);
    return UV_ENOBUFS;
}

/* --- records that are encoded --- */

typedef struct encoded {
    gee_otlp_record record;
    char json[];
} encoded;

static void put_encoded(gee_out *o, gee_otlp_record *r) {
    gee_out_bytes(o, ((encoded *)r)->json, r->n);
}

static void drop_encoded(gee_otlp_record *r) {
    free(r);
}

static gee_otlp_record *record_of(gee_out *o) {
    size_t n = gee_buf_size(&o->b);
    encoded *r = o->rc == 0 ? malloc(sizeof(*r) + n) : NULL;
    if (r) {
        r->record = (gee_otlp_record){NULL, gee_now_ns(), n, put_encoded, drop_encoded};
        memcpy(r->json, gee_buf_head(&o->b), n);
    }
    gee_out_end(o);
    return r ? &r->record : NULL;
}

int gee_otlp_offer(gee_otlp *x, enum gee_otlp_signal signal, gee_out *o) {
    return gee_otlp_push(x, signal, record_of(o));
}

void gee_otlp_lost(gee_otlp *x, enum gee_otlp_signal signal) {
    enum gee_otlp_fate fate;
    gee_spin_lock(&x->pipes[signal].lock);
    push(&x->pipes[signal], NULL, &fate);
    gee_spin_unlock(&x->pipes[signal].lock);
}

size_t gee_otlp_queued(gee_otlp_pipe *p, uint64_t *oldest_ns) {
    gee_spin_lock(&p->lock);
    size_t n = p->queued;
    *oldest_ns = n ? p->first->at_ns : 0;
    gee_spin_unlock(&p->lock);
    return n;
}

/* --- the task's side --- */

enum { IN_A_ROW = 32 };

/* Up to max from the front, as a list of their own; they still count as waiting. */
static gee_otlp_record *detach(gee_otlp_pipe *p, size_t max, size_t *n) {
    gee_spin_lock(&p->lock);
    gee_otlp_record *first = p->first, **at = &p->first;
    for (*n = 0; *n < max && *at; (*n)++) {
        p->queued_bytes -= (*at)->n;
        at = &(*at)->next;
    }
    p->first = *at;
    *at = NULL;
    if (p->first == NULL)
        p->end = &p->first;
    p->queued -= *n;
    gee_spin_unlock(&p->lock);
    return *n ? first : NULL;
}

static void free_records(gee_otlp_record *r) {
    for (gee_otlp_record *next; r; r = next) {
        next = r->next;
        r->drop(r);
    }
}

/* Of spans this takes a while: others have their turn. */
static void put_records(gee_out *o, gee_otlp_record *all) {
    size_t n = 0;
    for (gee_otlp_record *r = all; r; r = r->next) {
        if (r != all)
            gee_out_raw(o, ",");
        r->put(o, r);
        if (++n % IN_A_ROW == 0)
            gee_yield();
    }
}

size_t gee_otlp_take(gee_otlp *x, gee_otlp_pipe *p) {
    size_t n;
    gee_otlp_record *all = detach(p, p->bounds.batch, &n);
    if (n == 0)
        return 0;
    gee_out o = {.rc = 0};
    gee_out_raw(&o, p->before);
    gee_out_raw(&o, x->resource);
    gee_out_raw(&o, p->middle);
    put_records(&o, all);
    gee_out_raw(&o, p->after);
    free_records(all);
    p->body = o.b;
    if (o.rc == 0)
        return n;
    gee_buf_free(&p->body);
    gee_otlp_settle(p, GEE_OTLP_NO_MEMORY, n);
    return 0;
}

void gee_otlp_settle(gee_otlp_pipe *p, enum gee_otlp_fate fate, size_t n) {
    gee_spin_lock(&p->lock);
    p->stats.fates[fate] += n;
    p->stats.waiting -= n;
    p->left += n;
    gee_spin_unlock(&p->lock);
}

void gee_otlp_close(gee_otlp_pipe *p) {
    size_t n;
    gee_spin_lock(&p->lock);
    p->closed = true;
    gee_spin_unlock(&p->lock);
    free_records(detach(p, SIZE_MAX, &n));
    gee_otlp_settle(p, GEE_OTLP_SHUTDOWN, n);
}
