/*
 * The trace as JSON: Chrome's Trace Event Format ("Trace Event Format", Google, 2016), of which
 * Perfetto and speedscope each read a part. Made from the records one by one, in
 * any thread, into whatever buffer there is: nothing of the size of the trace is ever held.
 *
 * Times are in microseconds with three places, from the beginning of the recording. What began
 * before it begins with it here. Events are in no order; readers sort them. Of one number and
 * category two never overlap, so that nothing depends on how a reader sorts those of the same time.
 */
#include "trace/text.h"
#include "trace/trace.h"
#include <errno.h>

/* A record is at most so long: five events, three of them with texts, one of these with a path. */
enum { ROOM = GEE_TRACE_PIECE / 2 };
_Static_assert(ROOM >= 5 * 200 + (4 + GEE_ORIGIN_DEPTH) * (GEE_TEXT_MOST + 8), "a record's room");

#define LIT(text) at = gee_put_lit(at, text)

static uint64_t since_start(const gee_trace *t, uint64_t ns) {
    return ns > t->start_ns ? ns - t->start_ns : 0;
}

/* ,\n{"ph":"b","pid":1,"tid":1,"ts":1.000 */
static char *event(char *at, char ph, uint64_t tid, uint64_t ns) {
    LIT(",\n{\"ph\":\"");
    *at++ = ph;
    LIT("\",\"pid\":1,\"tid\":");
    at = gee_put_number(at, tid);
    LIT(",\"ts\":");
    return gee_put_us(at, ns);
}

static char *named(char *at, const char *name) {
    LIT(",\"name\":\"");
    at = gee_put_text(at, name);
    *at++ = '"';
    return at;
}

/* The b or e of something that a task has. */
static char *span(char *at, char ph, const char *cat, uint64_t task, uint64_t tid, uint64_t ns,
                  const char *name) {
    at = event(at, ph, tid, ns);
    at = named(at, name);
    LIT(",\"cat\":\"");
    at = gee_put_text(at, cat);
    LIT("\",\"id\":\"");
    at = gee_put_hex(at, task);
    *at++ = '"';
    return at;
}

static char *put_wait(const gee_trace *t, char *at, const gee_record *r, uint64_t tid,
                      uint64_t from_ns, uint64_t to_ns, gee_site site) {
    const char *reason = gee_wait_reason_text(r->reason);
    at = span(at, 'b', "wait", r->task, tid, since_start(t, from_ns), reason);
    LIT(",\"args\":{\"at\":\"");
    at = gee_put_text(at, site);
    LIT("\"}}");
    if (to_ns == 0)
        return at;
    at = span(at, 'e', "wait", r->task, tid, since_start(t, to_ns), reason);
    *at++ = '}';
    return at;
}

/* From the slice in which it was made runnable, if that has been recorded. */
static char *put_flow(gee_trace *t, char *at, const gee_record *r, uint64_t tid) {
    if (r->by == 0 || r->by == r->task || r->ready_ns == 0 ||
        r->ready_ns < gee_recorder_start_ns(t->recorders[r->by_worker]))
        return at;
    t->flow++;
    at = event(at, 's', r->by_worker + 1u, since_start(t, r->ready_ns));
    LIT(",\"name\":\"wakes\",\"cat\":\"wake\",\"id\":");
    at = gee_put_number(at, t->flow);
    *at++ = '}';
    at = event(at, 'f', tid, since_start(t, r->from_ns));
    LIT(",\"bp\":\"e\",\"name\":\"wakes\",\"cat\":\"wake\",\"id\":");
    at = gee_put_number(at, t->flow);
    *at++ = '}';
    return at;
}

static const char *slice_end_text(const gee_record *r) {
    static const char *const text[] = {"", "yields", "exits", "was running when the trace ended"};
    return r->end == GEE_SLICE_PARKED ? gee_wait_reason_text(r->after) : text[r->end];
}

static char *put_slice(gee_trace *t, char *at, const gee_record *r, uint64_t tid,
                       const char *name) {
    if (r->parked_at)
        at = put_wait(t, at, r, tid, r->parked_ns, r->from_ns, r->parked_at);
    at = event(at, 'X', tid, since_start(t, r->from_ns));
    LIT(",\"dur\":");
    at = gee_put_us(at, r->to_ns - r->from_ns);
    at = named(at, name);
    LIT(",\"cat\":\"run\",\"args\":{\"task\":");
    at = gee_put_number(at, r->task);
    if (r->ready_ns) {
        LIT(",\"runnable_us\":");
        at = gee_put_us(at, r->from_ns - r->ready_ns);
        if (r->by) {
            LIT(",\"by\":");
            at = gee_put_number(at, r->by);
        }
    }
    LIT(",\"then\":\"");
    at = gee_put_text(at, slice_end_text(r));
    LIT("\"}}");
    return put_flow(t, at, r, tid);
}

/* "a.c:7 < b.c:12": where it was created, and where those were that created it. */
static char *put_path(char *at, const gee_origin *o) {
    for (; o; o = o->parent) {
        at = gee_put_text(at, o->site);
        if (o->parent)
            LIT(" < ");
    }
    return at;
}

static char *put_life(gee_trace *t, char *at, const gee_record *r, uint64_t tid, const char *name) {
    at = span(at, 'b', "task", r->task, tid, since_start(t, r->from_ns), name);
    LIT(",\"args\":{\"created_at\":\"");
    at = put_path(at, r->origin);
    *at++ = '"';
    if (r->from_ns < t->start_ns) {
        LIT(",\"before_us\":");
        at = gee_put_us(at, t->start_ns - r->from_ns);
    }
    LIT("}}");
    if (r->to_ns == 0)
        return at;
    at = span(at, 'e', "task", r->task, tid, since_start(t, r->to_ns), name);
    *at++ = '}';
    return at;
}

static char *put_request(gee_trace *t, char *at, const gee_record *r, uint64_t tid,
                         const char *name) {
    at = span(at, 'b', "request", r->task, tid, since_start(t, r->from_ns), name);
    LIT(",\"args\":{\"status\":");
    at = gee_put_number(at, (uint64_t)r->status);
    LIT("}}");
    at = span(at, 'e', "request", r->task, tid, since_start(t, r->to_ns), name);
    *at++ = '}';
    return at;
}

static char *put_record(gee_trace *t, char *at, const gee_record *r) {
    uint64_t tid = (uint64_t)t->worker + 1;
    const char *name = gee_recorder_name(t->recorders[t->worker], r->name);
    switch (r->kind) {
    case GEE_RECORD_SLICE:
        return put_slice(t, at, r, tid, name);
    case GEE_RECORD_WAIT:
        return put_wait(t, at, r, tid, r->from_ns, 0, r->at);
    case GEE_RECORD_LIFE:
        return put_life(t, at, r, tid, name);
    default:
        return put_request(t, at, r, tid, name);
    }
}

/* --- what stands in front of the records --- */

static char *put_meta(char *at, const char *what, uint64_t tid) {
    LIT("{\"ph\":\"M\",\"pid\":1,\"tid\":");
    at = gee_put_number(at, tid);
    LIT(",\"name\":\"");
    at = gee_put_text(at, what);
    LIT("\",\"args\":{\"name\":\"");
    return at;
}

static char *put_head(gee_trace *t, char *at) {
    bool whole = true;
    uint64_t stop_ns = 0;
    for (int i = 0; i < t->n; i++) {
        whole &= gee_recorder_is_whole(t->recorders[i]);
        uint64_t ns = gee_recorder_stop_ns(t->recorders[i]);
        stop_ns = ns > stop_ns ? ns : stop_ns;
    }
    LIT("{\"displayTimeUnit\":\"ns\",\n\"otherData\":{\"recorded_us\":");
    at = gee_put_us(at, stop_ns - t->start_ns);
    LIT(",\"workers\":");
    at = gee_put_number(at, (uint64_t)t->n);
    LIT(",\"dropped\":");
    at = gee_put_number(at, gee_trace_dropped(t));
    LIT(",\"lists_unfinished\":");
    if (whole)
        LIT("true");
    else
        LIT("false");
    LIT("},\n\"traceEvents\":[\n");
    at = put_meta(at, "process_name", 0);
    at = gee_put_text(at, program_invocation_short_name);
    LIT("\"}}");
    return at;
}

/* Until when records are missing: to the first slice that was kept. */
static uint64_t missing_until(const gee_recorder *r) {
    for (size_t i = 0; i < gee_recorder_count(r); i++)
        if (gee_recorder_at(r, i)->kind == GEE_RECORD_SLICE)
            return gee_recorder_at(r, i)->from_ns;
    return gee_recorder_stop_ns(r);
}

static char *put_worker(gee_trace *t, char *at) {
    const gee_recorder *r = t->recorders[t->worker];
    uint64_t tid = (uint64_t)t->worker + 1, dropped = gee_recorder_dropped(r);
    LIT(",\n");
    at = put_meta(at, "thread_name", tid);
    LIT("worker ");
    at = gee_put_number(at, (uint64_t)t->worker);
    LIT("\"}}");
    at = event(at, 'C', tid, since_start(t, gee_recorder_start_ns(r)));
    LIT(",\"name\":\"dropped records, worker ");
    at = gee_put_number(at, (uint64_t)t->worker);
    LIT("\",\"args\":{\"n\":");
    at = gee_put_number(at, dropped);
    LIT("}}");
    if (dropped == 0)
        return at;
    uint64_t from_ns = since_start(t, gee_recorder_start_ns(r));
    at = event(at, 'X', tid, from_ns);
    LIT(",\"dur\":");
    at = gee_put_us(at, since_start(t, missing_until(r)) - from_ns);
    LIT(",\"name\":\"");
    at = gee_put_number(at, dropped);
    LIT(" records were dropped\",\"cat\":\"trace\"}");
    return at;
}

/* The next few bytes, at most ROOM; where they end. */
static char *put_next(gee_trace *t, char *at) {
    if (!t->headed) {
        t->headed = true;
        return put_head(t, at);
    }
    if (t->worker == t->n) {
        t->ended = true;
        return gee_put_lit(at, "\n]}\n");
    }
    const gee_recorder *r = t->recorders[t->worker];
    if (t->at == 0)
        at = put_worker(t, at);
    if (t->at < gee_recorder_count(r))
        at = put_record(t, at, gee_recorder_at(r, t->at++));
    if (t->at == gee_recorder_count(r)) {
        t->worker++;
        t->at = 0;
    }
    return at;
}

size_t gee_trace_read(gee_trace *t, char *buf, size_t n) {
    char *at = buf;
    while (!t->ended && (size_t)(buf + n - at) >= ROOM)
        at = put_next(t, at);
    return (size_t)(at - buf);
}
