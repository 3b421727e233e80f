/*
 * The main of many test programs that are linked into one (lessons.mk): it is called by the name of
 * one of them, test_web or test_web.S1, and is that one. Their own mains are main_of_test_web and
 * so on; TESTS is a list of X(test_web).
 */
#include <stdio.h>
#include <string.h>

#define X(test) int main_of_##test(int argc, char **argv);
TESTS
#undef X

static const struct {
    const char *name;
    int (*main)(int argc, char **argv);
} mains[] = {
#define X(test) {#test, main_of_##test},
    TESTS
#undef X
};

int main(int argc, char **argv) {
    const char *slash = strrchr(argv[0], '/');
    const char *name = slash ? slash + 1 : argv[0];
    size_t n = strcspn(name, ".");
    for (size_t i = 0; i < sizeof(mains) / sizeof(*mains); i++)
        if (strncmp(mains[i].name, name, n) == 0 && mains[i].name[n] == '\0')
            return mains[i].main(argc, argv);
    fprintf(stderr, "%s: no test program of this name is in it\n", argv[0]);
    return 127;
}
