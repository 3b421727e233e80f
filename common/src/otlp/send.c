/*
 * One try to post a batch, and what its answer means (OTLP/HTTP, "OTLP/HTTP Response").
 *
 * A batch that is to be tried again stays where it is, and its pipe has a time before which
 * nothing is posted: the task does not sleep here, and the other signals go on.
 */
#include "http/http.h"
#include "otlp/otlp.h"
#include "runtime/worker.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_PAUSE_MS UINT64_C(1000)
#define MAX_PAUSE_MS   UINT64_C(30000)
#define MAX_AFTER_MS   (UINT64_C(3600) * 1000) /* who says more does not mean it */
#define SAY_EVERY_NS   (UINT64_C(60) * 1000000000)

/* --- what is said on stderr --- */

static uint64_t dropped(gee_otlp_pipe *p) {
    uint64_t n = 0;
    gee_spin_lock(&p->lock);
    for (int i = GEE_OTLP_SENT + 1; i < GEE_OTLP_FATES; i++)
        n += p->stats.fates[i];
    gee_spin_unlock(&p->lock);
    return n;
}

/* Why, in the words of the answer. Its text is the collector's: a line stays a line. */
static void say(gee_otlp_pipe *p, const char *what, const char *text, size_t n) {
    uint64_t all = dropped(p), now = gee_now_ns();
    char line[160];
    if (p->said_ns && now - p->said_ns < SAY_EVERY_NS)
        return;
    size_t len = n < sizeof(line) - 1 ? n : sizeof(line) - 1;
    for (size_t i = 0; i < len; i++)
        line[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : ' ';
    line[len] = '\0';
    fprintf(stderr, "gee: otlp: %s: %llu dropped: %s%s%s\n", p->name,
            (unsigned long long)(all - p->said), what, len ? ": " : "", line);
    p->said = all;
    p->said_ns = now;
}

void gee_otlp_say_last(gee_otlp_pipe *p) {
    p->said_ns = 0;
    if (dropped(p) > p->said)
        say(p, "until the end", NULL, 0);
}

/* --- the answer --- */

/* ms from now; 0: it says nothing. RFC 9110, 10.2.3: seconds, or a date. */
static uint64_t after_ms(const char *text) {
    int64_t at, now = (int64_t)gee_wall_ms();
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && text[digits] == '\0') {
        uint64_t s = digits > 6 ? MAX_AFTER_MS / 1000 : strtoull(text, NULL, 10);
        return s * 1000 < MAX_AFTER_MS ? s * 1000 : MAX_AFTER_MS;
    }
    if (!gee_date_parse(text, &at) || at * 1000 <= now)
        return 0;
    uint64_t ms = (uint64_t)(at * 1000 - now);
    return ms < MAX_AFTER_MS ? ms : MAX_AFTER_MS;
}

/* Between half of it and all. */
static uint64_t pause_ms(int tries) {
    uint64_t most = FIRST_PAUSE_MS;
    while (--tries > 0 && most < MAX_PAUSE_MS)
        most *= 2;
    if (most > MAX_PAUSE_MS)
        most = MAX_PAUSE_MS;
    return most / 2 + gee_random_number() % (most / 2 + 1);
}

static bool is_tried_again(int status) {
    return status < 0 || status == 429 || status == 502 || status == 503 || status == 504;
}

/* How many of n a collector has rejected that took the others. 64 bits are a string, or a number.
 */
static void partial(gee_otlp_pipe *p, const gee_otlp_answer *a, size_t n) {
    json_t *root = json_loadb(a->body, a->body_n, 0, NULL);
    json_t *part = json_object_get(root, "partialSuccess");
    json_t *count = json_object_get(part, p->rejected);
    const char *text = json_string_value(count);
    long long k = text ? strtoll(text, NULL, 10) : json_integer_value(count);
    size_t rejected = k <= 0 ? 0 : (unsigned long long)k < n ? (size_t)k : n;
    const char *message = json_string_value(json_object_get(part, "errorMessage"));
    gee_otlp_settle_batch(p, GEE_OTLP_SENT, rejected);
    if (rejected)
        say(p, "the collector rejected some", message ? message : "",
            message ? strlen(message) : 0);
    else if (dropped(p) > p->said)
        say(p, "more comes than is sent", NULL, 0);
    json_decref(root);
}

void gee_otlp_settle_batch(gee_otlp_pipe *p, enum gee_otlp_fate fate, size_t rejected) {
    size_t n = p->batch;
    gee_buf_free(&p->body);
    p->batch = 0;
    p->tries = 0;
    gee_otlp_settle(p, GEE_OTLP_REJECTED, rejected);
    gee_otlp_settle(p, fate, n - rejected);
}

static void count_request(gee_otlp_pipe *p, uint64_t *which) {
    gee_spin_lock(&p->lock);
    ++*which;
    gee_spin_unlock(&p->lock);
}

static void describe(int status, char *buf, size_t size) {
    char err[64];
    if (status < 0)
        snprintf(buf, size, "no answer (%s)", uv_err_name_r(status, err, sizeof(err)));
    else
        snprintf(buf, size, "status %d", status);
}

/* It is tried again, or its time is up; in both cases the collector is left alone for a while. */
static void later(gee_otlp_pipe *p, int status, const gee_otlp_answer *a) {
    uint64_t now = gee_now_ns(), ms = status > 0 ? after_ms(a->retry_after) : 0;
    char what[96];
    p->next_ns = now + 1000000 * (ms ? ms : pause_ms(p->tries));
    if (p->next_ns - p->born_ns <= p->bounds.expire_ms * 1000000) {
        count_request(p, &p->stats.requests_retry);
        return;
    }
    count_request(p, &p->stats.requests_failed);
    describe(status, what, sizeof(what));
    gee_otlp_settle_batch(p, GEE_OTLP_EXPIRED, 0);
    say(p, what, a->body, status > 0 ? a->body_n : 0);
}

static int post(gee_ctx *ctx, gee_otlp *x, gee_otlp_pipe *p, gee_otlp_answer *a) {
    gee_ctx *own = gee_ctx_with_timeout(ctx, x->post_ms);
    if (own == NULL)
        return UV_ENOMEM;
    int status = x->transport.post(own, x->transport.arg, p->path, gee_buf_head(&p->body),
                                   gee_buf_size(&p->body), a);
    gee_ctx_end(own);
    return status ? status : UV_EPROTO;
}

void gee_otlp_try(gee_ctx *ctx, gee_otlp *x, gee_otlp_pipe *p) {
    gee_otlp_answer a = {.body_n = 0};
    char what[96];
    if (p->tries++ == 0)
        p->born_ns = gee_now_ns();
    int status = post(ctx, x, p, &a);
    if (status < 0 && gee_ctx_err(ctx) < 0)
        return; /* the end of the task, which will settle it */
    if (status >= 200 && status <= 299) {
        count_request(p, &p->stats.requests_ok);
        p->next_ns = 0;
        partial(p, &a, p->batch);
    } else if (is_tried_again(status)) {
        later(p, status, &a);
    } else {
        count_request(p, &p->stats.requests_failed);
        describe(status, what, sizeof(what));
        gee_otlp_settle_batch(p, GEE_OTLP_FAILED, 0);
        say(p, what, a.body, a.body_n);
    }
}
