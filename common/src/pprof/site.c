/*
 * Who started a task. Its stack begins with its own function; what the starter did is over and has
 * left no frame. So there is one that stands for it, at the end of the stack where the caller
 * would be: the function that called gee_go, and the line. Tools then draw tasks beneath those who
 * started them, and can tell the same function apart when two places have started it.
 */
#include "pprof/pprof.h"

void gee_prof_push_site(gee_prof_stack *s, const gee_prof_task *t) {
    gee_prof_push_frame(s, "created by ", t->created_at);
    gee_prof_label_add(s, "created_at", t->created_at);
}
