/* A log in a file without a name, and what is in it. */
#ifndef GEE_TESTS_T_LOG_H
#define GEE_TESTS_T_LOG_H

#include "t.h"

extern int t_log_fd;

/* For cmocka_run_group_tests. */
int t_log_open(void **state);
int t_log_close(void **state);

/* What was logged since the last time. */
const char *t_logged(void);
/* Of an extended regular expression. */
bool t_matches(const char *text, const char *pattern);

#define T_LOGGED(pattern)                                       \
    do {                                                        \
        const char *text_ = t_logged();                         \
        if (!t_matches(text_, pattern))                         \
            T_FAIL("\"%s\" does not match %s", text_, pattern); \
    } while (0)

/* As the logs write it, with the spaces around it. */
#define T_LOG_TIME " \\[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9:]{8} \\+0000\\] "

#define T_LOG_MAIN(tests)                                              \
    int main(int argc, char **argv) {                                  \
        if (argc > 1)                                                  \
            cmocka_set_test_filter(argv[1]);                           \
        return cmocka_run_group_tests(tests, t_log_open, t_log_close); \
    }

#endif
