/*
 * Inside of /debug/pprof/. A page is a row of the table in routes.c: a name, a line for the
 * index, and the handler. Most of them are profiles (gee_prof_kind) and share the handler in
 * page.c, which knows ?debug= and ?seconds=.
 */
#ifndef GEE_PPROF_PPROF_H
#define GEE_PPROF_PPROF_H

#include "gee/pprof.h"
#include "gee/req.h"
#include "pprof/prof_task.h"
#include "pprof/profile.h"

/* --- the kinds of profiles --- */

typedef struct gee_prof_kind {
    const char *name, *title; /* title: in the text; NULL: the name */
    enum gee_prof_form form;
    /* The profile as of now, since the start or of this moment; parks. NULL: no memory. */
    gee_prof *(*take)(void);
    /* ?debug=2 is more than 1 here; NULL: it is the same. Parks. 0 or an error. */
    int (*traces)(gee_buf *out);
    /* ?seconds= : switches on what is counted only while somebody looks; NULL: always there. Parks.
     * 0, or an error: it is not switched on. */
    int (*watch)(bool on);
} gee_prof_kind;

extern const gee_prof_kind gee_prof_goroutine, gee_prof_taskleak, gee_prof_heap, gee_prof_block,
    gee_prof_mutex;

/* tasks.c: adds the sample of a task. */
void gee_prof_add_task(gee_prof *p, const gee_prof_task *t, const char *leak);
/* site.c: who started it: a frame around its first function, "created by " and the function with
 * its line, and a label, created_at. */
void gee_prof_push_site(gee_prof_stack *s, const gee_prof_task *t);

/* each.c: runs fn(ctx, args[i]) in a task on worker i, for all of them, and parks until all have
 * ended. args is an array of that many bytes each. 0 or UV_ENOMEM: on some it did not run. */
#define gee_prof_on_each(fn, args) \
    gee_prof_on_each_at(fn, args, sizeof(*(args)), "profile", GEE_HERE)
int gee_prof_on_each_at(gee_task_fn fn, void *args, size_t size, const char *name, gee_site site);

/* --- what pages share --- */

/* page.c: answers with a profile of the kind that is its gee_arg. */
void gee_prof_page(gee_req *req);
/*
 * page.c: a query's number, 0 to most; false: it is none, and the client has been told (400).
 * Without it *value stays as it is.
 */
bool gee_prof_number(gee_req *req, const char *name, uint64_t most, uint64_t *value);
/* page.c: resolves and encodes p, on a thread, and answers with it as a file of that name; p is
 * freed. NULL: 503. */
void gee_prof_answer(gee_req *req, const char *name, gee_prof *p);
/* page.c: the same for people, as the kind has it. */
void gee_prof_answer_text(gee_req *req, const gee_prof_kind *k, gee_prof *p);

/*
 * seconds.c: parks the request's task for so long, however short the time of a request is
 * otherwise. 0, or the error of its ctx: the client has gone, the server ends.
 */
int gee_prof_wait(gee_req *req, uint64_t seconds);

/* routes.c: the pages. */
typedef struct gee_prof_row {
    const char *name, *about;
    gee_handler page;
    const gee_prof_kind *kind; /* for gee_prof_page */
    bool post;                 /* also as POST */
} gee_prof_row;
extern const gee_prof_row gee_prof_rows[];
/* Of that name; NULL: there is none. */
const gee_prof_kind *gee_prof_kind_find(const char *name);

/* cpu_page.c */
void gee_prof_cpu_page(gee_req *req);

/* trace.c */
void gee_prof_trace_page(gee_req *req);

/* index.c: the pages that are no profiles. */
void gee_prof_index_page(gee_req *req);
void gee_prof_cmdline_page(gee_req *req);
void gee_prof_symbol_page(gee_req *req);

#endif
