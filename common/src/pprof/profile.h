/*
 * A profile: samples of stacks, with values, as profile.proto has it
 * (github.com/google/pprof, proto/profile.proto).
 *
 * Everything is known by its number in a table and is there once: strings, locations, functions,
 * and samples too, so two that have the same stack and the same labels are one with the sum of
 * their values. An address is kept as it is and gets its functions and lines at the end, all at
 * once (gee_prof_resolve), because that reads files.
 *
 * One thread at a time. Without memory a profile is spoilt, and says so when it is written.
 */
#ifndef GEE_PPROF_PROFILE_H
#define GEE_PPROF_PROFILE_H

#include "base/buf.h"
#include "gee/task.h"
#include <stdbool.h>
#include <stdint.h>

enum { GEE_PROF_VALUES = 2, GEE_PROF_DEPTH = 128, GEE_PROF_LABELS = 8 };

typedef struct gee_prof_type {
    const char *type, *unit; /* "goroutine", "count" */
} gee_prof_type;

/* One level of a stack: an address in the code, or, with pc 0, something that stands for one. */
typedef struct gee_prof_frame {
    uintptr_t pc; /* within the instruction: one less than a return address */
    const char *name;
    gee_site site; /* NULL: none */
} gee_prof_frame;

typedef struct gee_prof_label {
    const char *key, *value;
} gee_prof_label;

/* A sample before it is added: frames from the innermost one on. */
typedef struct gee_prof_stack {
    gee_prof_frame frames[GEE_PROF_DEPTH];
    gee_prof_label labels[GEE_PROF_LABELS];
    int n, nlabels;
} gee_prof_stack;

/* What is too many is left out: of frames the outermost. A name that ends with a blank is followed
 * by the function in which site is: "created by " and "chat". */
void gee_prof_push_pc(gee_prof_stack *s, uintptr_t pc);
void gee_prof_push_frame(gee_prof_stack *s, const char *name, gee_site site);
void gee_prof_label_add(gee_prof_stack *s, const char *key, const char *value);

/* --- the tables; a number is an index, strings[0] is "" --- */

/* Where in a table what has this hash may be. */
typedef struct gee_prof_index {
    uint64_t *slots; /* the upper half of the hash, and 1 + the number; 0: free */
    size_t cap, n;
} gee_prof_index;

typedef struct gee_prof_location {
    uintptr_t pc;
    uint32_t name, site; /* strings, where pc is 0 */
    /* Once it is resolved: */
    uint32_t mapping; /* 1 + its number; 0: none */
    uint32_t line_at, nlines;
    uint64_t offset; /* in the function */
} gee_prof_location;

/* A function at an address; of several the first was inlined into the second, and so on. */
typedef struct gee_prof_line {
    uint32_t function;
    int line;
} gee_prof_line;

typedef struct gee_prof_function {
    uint32_t name, file;
} gee_prof_function;

typedef struct gee_prof_mapping {
    uint64_t start, limit, offset;
    uint32_t file, build_id;
} gee_prof_mapping;

typedef struct gee_prof_sample {
    size_t at; /* in ids: the locations, then key and value of each label */
    uint32_t nlocations, nlabels;
    int64_t values[GEE_PROF_VALUES];
} gee_prof_sample;

#define GEE_PROF_TABLE(type) \
    struct {                 \
        type *at;            \
        size_t n, cap;       \
    }

typedef struct gee_prof {
    gee_prof_type types[GEE_PROF_VALUES], period_type;
    int ntypes;
    int64_t period, time_ns, duration_ns; /* time: Unix; duration 0: of one moment */
    int rc;                               /* 0 or UV_ENOMEM: it is not whole */
    uint32_t comment;                     /* a string, for people; 0: none */
    GEE_PROF_TABLE(char *) strings;
    GEE_PROF_TABLE(gee_prof_location) locations;
    GEE_PROF_TABLE(gee_prof_function) functions;
    GEE_PROF_TABLE(gee_prof_line) lines;
    GEE_PROF_TABLE(gee_prof_mapping) mappings;
    GEE_PROF_TABLE(gee_prof_sample) samples;
    GEE_PROF_TABLE(uint32_t) ids;
    gee_prof_index string_index, location_index, function_index, sample_index;
} gee_prof;

/* So many types, of which the last is what tools show first. NULL: no memory. */
gee_prof *gee_prof_new(const gee_prof_type *types, int n, gee_prof_type period_type,
                       int64_t period);
void gee_prof_free(gee_prof *p); /* NULL: nothing */

void gee_prof_add(gee_prof *p, const gee_prof_stack *s, const int64_t *values);
/* Adds the samples of another one of the same types, `times` (1 or -1) each; with -1 it becomes the
 * difference. Samples of which nothing is left are dropped when it is written. */
void gee_prof_merge(gee_prof *p, const gee_prof *from, int times);
bool gee_prof_is_zero(const gee_prof *p, const gee_prof_sample *s);

uint32_t gee_prof_string(gee_prof *p, const char *s);
uint32_t gee_prof_function_at(gee_prof *p, uint32_t name, uint32_t file);
/* One more in a table: false, and p->rc: no memory. */
bool gee_prof_grow(gee_prof *p, void **at, size_t n, size_t *cap, size_t size);
#define GEE_PROF_ROOM(p, table) \
    gee_prof_grow(p, (void **)&(table).at, (table).n, &(table).cap, sizeof(*(table).at))

/* resolve.c: functions, lines and mappings of all locations. Reads files: not on a worker. */
void gee_prof_resolve(gee_prof *p);

/* encode.c: as profile.proto, compressed. 0, or an error. After gee_prof_resolve. */
int gee_prof_encode(const gee_prof *p, gee_buf *out);

/* text.c: for people, and as tools took it before there was profile.proto. name is its title. */
enum gee_prof_form { GEE_PROF_COUNTS, GEE_PROF_HEAP, GEE_PROF_CONTENTION };
int gee_prof_text(const gee_prof *p, const char *name, enum gee_prof_form form, gee_buf *out);
/* The lines of one frame, each from `before` on. */
void gee_prof_frame_text(const gee_prof *p, const gee_prof_location *l, gee_buf *out);

#endif
