/*
 * DECOY, a repair that is wrong: when its room is full, it takes no more, and counts what it could
 * not take. The trace is small, and nothing in it is false; but it is of the first moment, and who
 * has waited for what goes wrong now and then gets the time before.
 */
#include "trace/names.h"
#include "trace/recorder.h"
#include "trace/room.h"
#include "trace/stamp.h"
#include <stdlib.h>
#include <string.h>

struct gee_recorder {
    gee_probe probe;
    gee_worker *worker;
    gee_stamps stamps;
    uint64_t start_ns, stop_ns;
    gee_record slice; /* that which runs: what is known at its beginning */
    uint64_t written; /* ever */
    size_t cap;
    gee_record *records;
    gee_record no_room; /* written, and never read */
    gee_record *open;   /* made by stop */
    size_t nopen;
    bool whole;
    gee_names names;
};

static gee_record *next_record(gee_recorder *r) {
    uint64_t i = r->written++;
    return i < r->cap ? &r->records[i] : &r->no_room;
}

static uint16_t name_of(gee_recorder *r, gee_task *t) {
    if (t->traced.name == 0)
        t->traced.name = gee_names_number(&r->names, t->name);
    return t->traced.name;
}

/* What was noted in an earlier recording is not known in this one. */
static uint64_t known(const gee_recorder *r, uint64_t ns) {
    return ns >= r->start_ns ? ns : 0;
}

/* --- the probe --- */

static void ready(gee_probe *p, gee_worker *by, gee_task *t) {
    gee_recorder *r = (gee_recorder *)p;
    t->traced.ready_ns = gee_stamp(&r->stamps);
    if (t->stack.base ==
        NULL) /* created_ns is that of a poll, which may be before its creator ran */
        t->traced.born_ns = t->traced.served_ns = t->traced.ready_ns;
    t->traced.by = by->current ? by->current->id : 0;
    t->traced.by_worker = by->index;
}

/* Kept here and not in the task, which another worker may wake while its slice still runs. */
static void begin(gee_probe *p, gee_task *t) {
    gee_recorder *r = (gee_recorder *)p;
    r->slice = (gee_record){
        .from_ns = gee_stamp_not_before(&r->stamps, t->traced.ready_ns),
        .task = t->id,
        .ready_ns = known(r, t->traced.ready_ns),
        .kind = GEE_RECORD_SLICE,
        .reason = (uint8_t)t->reason,
    };
    if (r->slice.ready_ns) {
        r->slice.by = t->traced.by;
        r->slice.by_worker = (uint8_t)t->traced.by_worker;
    }
    t->traced.ready_ns = 0; /* who wakes it next may not be recorded */
    if (t->reason != GEE_WAIT_NONE) {
        r->slice.parked_at = t->parked_at;
        r->slice.parked_ns = known(r, t->traced.parked_ns);
    }
}

static void write_slice(gee_recorder *r, gee_task *t, uint64_t now_ns, enum gee_slice_end end) {
    gee_record *s = next_record(r);
    *s = r->slice;
    s->to_ns = now_ns;
    s->name = name_of(r, t);
    s->end = (uint8_t)end;
    s->after = end == GEE_SLICE_PARKED ? (uint8_t)t->reason : GEE_WAIT_NONE;
}

static gee_record life_of(gee_recorder *r, gee_task *t, uint64_t to_ns) {
    return (gee_record){
        .from_ns = t->traced.born_ns ? t->traced.born_ns : t->created_ns,
        .to_ns = to_ns,
        .task = t->id,
        .origin = t->origin,
        .name = name_of(r, t),
        .kind = GEE_RECORD_LIFE,
    };
}

static void end(gee_probe *p, gee_task *t) {
    gee_recorder *r = (gee_recorder *)p;
    uint64_t now_ns = gee_stamp(&r->stamps);
    switch (t->state) {
    case GEE_TASK_DEAD:
        write_slice(r, t, now_ns, GEE_SLICE_EXITED);
        *next_record(r) = life_of(r, t, now_ns);
        break;
    case GEE_TASK_WAITING:
        t->traced.parked_ns = now_ns;
        write_slice(r, t, now_ns, GEE_SLICE_PARKED);
        break;
    default: /* nobody else has to make it runnable */
        t->traced.ready_ns = now_ns;
        t->traced.by = t->id;
        t->traced.by_worker = r->worker->index;
        write_slice(r, t, now_ns, GEE_SLICE_YIELDED);
    }
}

static void request(gee_probe *p, gee_task *t, uint64_t start_ns, int status) {
    gee_recorder *r = (gee_recorder *)p;
    uint64_t now_ns = gee_stamp(&r->stamps);
    *next_record(r) = (gee_record){
        .from_ns = start_ns > t->traced.served_ns ? start_ns : t->traced.served_ns,
        .to_ns = now_ns,
        .task = t->id,
        .status = status,
        .name = name_of(r, t),
        .kind = GEE_RECORD_REQUEST,
    };
    t->traced.served_ns = now_ns; /* the next of this connection does not begin before */
}

/* --- start and stop --- */

gee_recorder *gee_recorder_new(size_t bytes) {
    gee_recorder *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->probe = (gee_probe){NULL, ready, begin, end, request};
    r->cap = bytes / sizeof(gee_record) ? bytes / sizeof(gee_record) : 1;
    r->records = gee_room_new(r->cap, sizeof(gee_record));
    if (r->records == NULL) {
        free(r);
        return NULL;
    }
    return r;
}

void gee_recorder_free(gee_recorder *r) {
    if (r == NULL)
        return;
    free(r->records);
    free(r->open);
    free(r);
}

void gee_recorder_start(gee_recorder *r, gee_worker *w) {
    r->worker = w;
    gee_stamps_start(&r->stamps, w);
    r->start_ns = gee_stamp(&r->stamps);
    gee_list_each (it, &w->tasks)
        gee_container(it, gee_task, all)->traced.name = 0;
    if (w->current) /* its slice has begun without us */
        begin(&r->probe, w->current);
    gee_probe_add(w, &r->probe);
}

/* The tasks that live, and what they wait for. */
static void list_open(gee_recorder *r) {
    size_t n = 0;
    gee_list_each (it, &r->worker->tasks)
        n++;
    r->open = malloc((2 * n + 1) * sizeof(gee_record));
    r->whole = r->open != NULL;
    if (!r->whole)
        return;
    gee_list_each (it, &r->worker->tasks) {
        gee_task *t = gee_container(it, gee_task, all);
        r->open[r->nopen++] = life_of(r, t, 0);
        if (t->state == GEE_TASK_WAITING)
            r->open[r->nopen++] = (gee_record){
                .from_ns = known(r, t->traced.parked_ns),
                .task = t->id,
                .at = t->parked_at,
                .name = name_of(r, t),
                .kind = GEE_RECORD_WAIT,
                .reason = (uint8_t)t->reason,
            };
    }
}

void gee_recorder_stop(gee_recorder *r) {
    gee_worker *w = r->worker;
    r->stop_ns = gee_stamp(&r->stamps);
    if (w->current)
        write_slice(r, w->current, r->stop_ns, GEE_SLICE_CUT);
    gee_probe_remove(w, &r->probe);
    list_open(r);
}

/* --- what was recorded --- */

static size_t kept(const gee_recorder *r) {
    return r->written < r->cap ? (size_t)r->written : r->cap;
}

uint64_t gee_recorder_start_ns(const gee_recorder *r) {
    return r->start_ns;
}

uint64_t gee_recorder_stop_ns(const gee_recorder *r) {
    return r->stop_ns;
}

size_t gee_recorder_count(const gee_recorder *r) {
    return kept(r) + r->nopen;
}

const gee_record *gee_recorder_at(const gee_recorder *r, size_t i) {
    size_t n = kept(r);
    return i < n ? &r->records[i] : &r->open[i - n];
}

uint64_t gee_recorder_dropped(const gee_recorder *r) {
    return r->written - kept(r);
}

bool gee_recorder_is_whole(const gee_recorder *r) {
    return r->whole;
}

size_t gee_recorder_bytes(const gee_recorder *r) {
    return sizeof(*r) + (r->cap + r->nopen) * sizeof(gee_record);
}

const char *gee_recorder_name(const gee_recorder *r, size_t i) {
    return r->names.at[i];
}
