/*
 * A test program that starts itself as the program to be tested: with --program as its only
 * argument it runs a server with gee_engine_run, and is sent signals.
 */
#ifndef GEE_TESTS_T_PROGRAM_H
#define GEE_TESTS_T_PROGRAM_H

#include "t.h"
#include <sys/types.h>

typedef struct t_program {
    pid_t pid;
    int out, err; /* pipes: its stdout, and its stderr or -1 */
    int port;
} t_program;

/*
 * Starts this very program as `NAME --program`, with one more variable in its environment (name
 * may be NULL), and waits until it says where it listens. False: it did not.
 */
bool t_program_start(t_program *p, const char *name, const char *value);
/* The same; what it says on stderr can be read from p->err, and is not seen here. */
bool t_program_start_quiet(t_program *p);

/*
 * Sends a signal to a program that waits in its loop: under TSan one that comes while a
 * task runs is kept for that task's fiber, and lost with it.
 */
void t_program_tell(const t_program *p, int signum);
/* Waits for its end; the status is waitpid's. */
int t_program_finish(t_program *p);

/* The main of such a test program; `program` is the main of the other. */
#define T_PROGRAM_MAIN(tests, program)                    \
    int main(int argc, char **argv) {                     \
        if (argc > 1 && t_streq(argv[1], "--program"))    \
            return program();                             \
        if (argc > 1)                                     \
            cmocka_set_test_filter(argv[1]);              \
        return cmocka_run_group_tests(tests, NULL, NULL); \
    }

#endif
