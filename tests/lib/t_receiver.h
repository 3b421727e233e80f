/*
 * A receiver of OTLP for tests in simulation: the transport of an exporter, that checks each
 * request (t_otlp.h), notes it, and answers as the test has said.
 */
#ifndef GEE_TESTS_T_RECEIVER_H
#define GEE_TESTS_T_RECEIVER_H

#include "t.h"
#include "t_otlp.h"

enum { T_POSTS = 2048, T_ANSWERS = 64 };

typedef struct t_receiver {
    /* What it answers, one after the other; then, and where the status is 0, 200. */
    struct {
        int status; /* or an error: no answer */
        const char *retry_after, *body;
        uint64_t ms; /* it takes so long */
    } answers[T_ANSWERS];
    size_t nanswers;
    uint64_t seed; /* else: any status, by chance */

    /* What came. */
    struct {
        enum gee_otlp_signal signal;
        uint64_t at_ms;
        size_t count;
        int status;
        uint64_t hash; /* of its bytes */
    } posts[T_POSTS];
    size_t nposts;
    size_t taken[GEE_OTLP_SIGNALS]; /* records of those that were answered with 2xx */
    json_t *last[GEE_OTLP_SIGNALS]; /* the latest request */
    char error[512];                /* what is wrong with one, first */

    gee_mutex
        edge; /* orders, for TSan, the test and the exporter's task, which share all of this */
} t_receiver;

gee_otlp_transport t_receiver_transport(t_receiver *r);
/* gee_sleep, behind which may be looked at what came. A flush orders, too. */
int t_receiver_sleep(gee_ctx *ctx, t_receiver *r, uint64_t ms);
/* Forgets what came, and what was to be answered. */
void t_receiver_reset(t_receiver *r);

/* "", or how the figures of x do not add up, with each other or with what r has taken. */
const char *t_receiver_adds_up(t_receiver *r, gee_otlp *x, char *buf, size_t size);

/*
 * body(ctx, x, r) with an exporter of these options that posts to a receiver and runs; in
 * simulation, with several seeds. All requests were right, and in the end the figures add up.
 */
typedef void (*t_receiver_body)(gee_ctx *ctx, gee_otlp *x, t_receiver *r);
void t_receiver_sim(const gee_otlp_options *opt, t_receiver_body body);
/* First come, first served, only: for what takes long. */
void t_receiver_once(const gee_otlp_options *opt, t_receiver_body body);

#endif
