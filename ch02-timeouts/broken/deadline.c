/*
 * The deadlines of a connection: what its client owes, and by when.
 *
 * It owes one thing at a time. Who connects has head_ms for the head of a request; who sends a
 * body that a task reads, body_ms for its next piece; and who was sent the last answer, a second to
 * go. What a task does in between has no deadline here; that is the ctx's. Beside this runs the
 * deadline of a write, for a body may be read while a response is written.
 *
 * There is one timer. A deadline that moves away does not touch it; it rings early then, looks,
 * and is armed for what is due next.
 */
#include "http/http.h"

static void on_timer(gee_timer *t);

static void arm(gee_conn *c) {
    uint64_t first = c->deadline_ns < c->write_ns ? c->deadline_ns : c->write_ns;
    if (first == GEE_FAR_NS || c->closing)
        return;
    if (gee_timer_armed(&c->timer) && c->timer.when_ns <= first)
        return;
    if (gee_timer_start(&c->timer, first, on_timer) < 0)
        gee_conn_lost(c, UV_ENOMEM);
}

void gee_conn_deadline(gee_conn *c, enum gee_deadline what, uint64_t ms) {
    c->deadline = what;
    c->deadline_ns = what == GEE_NO_DEADLINE ? GEE_FAR_NS : gee_clock_in_ms(ms);
    arm(c);
}

void gee_conn_await_head(gee_conn *c) {
    if (!c->had_head && c->deadline != GEE_HEAD)
        gee_conn_deadline(c, GEE_HEAD, c->part->srv->limits.head_ms);
}

void gee_conn_write_deadline(gee_conn *c, uint64_t ms) {
    c->write_ns = ms == 0 ? GEE_FAR_NS : gee_clock_in_ms(ms);
    arm(c);
}

/* --- what happens then --- */

static void head_timed_out(gee_conn *c) {
    if (c->x == NULL) { /* it never sent a byte: nobody to answer */
        gee_conn_close(c);
        return;
    }
    c->broken = true;
    c->x->reject = 408;
    c->x->head_done = true;
    if (!c->serving) /* else the task finds it, when the answers before it are sent */
        gee_conn_serve(c);
}

static void body_timed_out(gee_conn *c) {
    if (c->x->body_err == 0)
        c->x->body_err = UV_ETIMEDOUT;
    gee_conn_wake_reader(c->x);
}

static void on_timer(gee_timer *t) {
    gee_conn *c = gee_container(t, gee_conn, timer);
    enum gee_deadline missed = c->deadline;
    if (c->closing)
        return;
    if (c->write_ns <= c->worker->now_ns) {
        gee_conn_lost(c, UV_ETIMEDOUT);
        return;
    }
    if (c->deadline_ns > c->worker->now_ns) {
        arm(c);
        return;
    }
    gee_conn_deadline(c, GEE_NO_DEADLINE, 0);
    if (missed == GEE_HEAD)
        head_timed_out(c);
    else if (missed == GEE_BODY)
        body_timed_out(c);
    else /* idle, or lingered long enough */
        gee_conn_close(c);
}
