/*
 * Who started a task, as a label of its sample: profiles have labels for what is no
 * part of the stack.
 */
#include "pprof/pprof.h"

void gee_prof_push_site(gee_prof_stack *s, const gee_prof_task *t) {
    gee_prof_label_add(s, "created_at", t->created_at);
}
