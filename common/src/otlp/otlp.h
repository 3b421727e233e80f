/*
 * Inside of the exporter.
 *
 * A line of a log is encoded by the task that offers it. A span is handed over as it is, and the
 * exporter's task encodes it when it makes a batch (span_json.c): what is dropped for want of room
 * was never encoded, and a request does not wait for it. A batch is one buffer: an envelope, into
 * which the records that wait are written. Each record is counted into one fate, under the lock of
 * its signal, in the same moment in which it leaves the queue or the batch; so the figures always
 * add up.
 */
#ifndef GEE_OTLP_OTLP_H
#define GEE_OTLP_OTLP_H

#include "base/spin.h"
#include "gee/chan.h"
#include "gee/ctx.h"
#include "gee/metrics.h"
#include "gee/otlp.h"
#include "otlp/out.h"
#include <stdatomic.h>

typedef struct gee_otlp_record {
    struct gee_otlp_record *next;
    uint64_t at_ns;
    size_t n; /* bytes that it takes */
    void (*put)(gee_out *o, struct gee_otlp_record *r);
    void (*drop)(struct gee_otlp_record *r);
} gee_otlp_record;

/* One signal: its queue, and its batch. */
typedef struct gee_otlp_pipe {
    /* Constant. */
    const char *name, *path;
    const char *before, *after; /* the envelope: `before`, the resource, `middle`, records, after */
    const char *middle;
    const char *rejected; /* the field of a partial success */
    gee_otlp_bounds bounds;

    /* Everybody's, under the lock. */
    gee_spin lock;
    gee_otlp_record *first, **end;
    size_t queued, queued_bytes;
    gee_otlp_stats stats;
    uint64_t taken; /* records that were ever put into the queue … */
    uint64_t left;  /* … and of these, that have a fate */
    bool closed;    /* the task has ended */

    /* The exporter's task's alone. */
    gee_buf body;     /* of the batch that is on its way */
    size_t batch;     /* records in it; 0: there is none */
    int tries;        /* of it */
    uint64_t born_ns; /* its first try */
    uint64_t next_ns; /* not before this, for whatever comes next */
    uint64_t said_ns; /* when stderr was told last; 0: never */
    uint64_t said;    /* how many had been dropped then */
} gee_otlp_pipe;

struct gee_otlp {
    /* Constant. */
    gee_otlp_transport transport;
    char *resource; /* "{"attributes":[…]}" */
    uint64_t metrics_ms, post_ms;
    uint64_t start_unix_ns;
    gee_engine *engine; /* whose figures are exported; NULL: none */
    bool disabled;

    /* Everybody's. */
    gee_chan *bell;    /* there is something to do */
    gee_chan *flushes; /* a gee_chan *, which is closed when the flush is over */
    gee_otlp_pipe pipes[GEE_OTLP_SIGNALS];

    /* The exporter's task's alone. */
    uint64_t collect_ns; /* when the figures are read next */
    gee_chan *flush;     /* the one that is under way */
    uint64_t flush_to[GEE_OTLP_SIGNALS];
};

/* options.c: from opt and the environment. 0, UV_EINVAL (said), UV_ENOMEM. */
int gee_otlp_configure(gee_otlp *x, const gee_otlp_options *opt);

/* queue.c: a record, which is the exporter's from here on: at_ns, n and its functions are set;
 * NULL: there was no memory for it. 0, or UV_ENOBUFS: it was dropped. In a task. */
int gee_otlp_push(gee_otlp *x, enum gee_otlp_signal signal, gee_otlp_record *r);
/* The same of what was encoded; o is freed. */
int gee_otlp_offer(gee_otlp *x, enum gee_otlp_signal signal, gee_out *o);
/* One more was to be offered, and there was no memory. */
void gee_otlp_lost(gee_otlp *x, enum gee_otlp_signal signal);
/* Up to a batch from the queue into an envelope. How many; 0: none wait, or they were dropped. */
size_t gee_otlp_take(gee_otlp *x, gee_otlp_pipe *p);
/* n of those taken have come to that. */
void gee_otlp_settle(gee_otlp_pipe *p, enum gee_otlp_fate fate, size_t n);
/* All that waits is dropped, and whatever comes. */
void gee_otlp_close(gee_otlp_pipe *p);
size_t gee_otlp_queued(gee_otlp_pipe *p, uint64_t *oldest_ns);

/* send.c: posts p's batch, once, and settles it unless it is to be tried again. */
void gee_otlp_try(gee_ctx *ctx, gee_otlp *x, gee_otlp_pipe *p);
/* What was dropped and has not been said yet. */
void gee_otlp_say_last(gee_otlp_pipe *p);
/* The batch is no more. */
void gee_otlp_settle_batch(gee_otlp_pipe *p, enum gee_otlp_fate fate, size_t rejected);

/* metrics.c: the figures become the batch of their pipe. */
void gee_otlp_collect(gee_otlp *x, gee_otlp_pipe *p);
int gee_otlp_figures(gee_metrics_out *out, void *x);

/* Unix time, of the calling worker. */
uint64_t gee_otlp_unix_ns(void);

#endif
