#include "t_program.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void become(const int out[2], const int err[2]) {
    char self[512] = "";
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
        _exit(127);
    dup2(out[1], STDOUT_FILENO);
    close(out[0]);
    close(out[1]);
    if (err[1] >= 0) {
        dup2(err[1], STDERR_FILENO);
        close(err[0]);
        close(err[1]);
    }
    /* The name it has itself: it may be one of many in one program (tests/tools/in_one.c). */
    execl(self, program_invocation_name, "--program", (char *)NULL);
    _exit(127);
}

static bool start(t_program *p, const char *name, const char *value, bool quiet) {
    int out[2], err[2] = {-1, -1};
    char line[256] = "";
    if (pipe(out) < 0 || (quiet && pipe(err) < 0))
        return false;
    p->pid = fork();
    if (p->pid == 0) {
        if (name)
            setenv(name, value, 1);
        become(out, err);
    }
    close(out[1]);
    if (quiet)
        close(err[1]);
    p->out = out[0];
    p->err = err[0];
    for (size_t n = 0; n + 1 < sizeof(line) && strchr(line, '\n') == NULL; n++)
        if (read(p->out, line + n, 1) != 1)
            return false;
    return sscanf(line, "listening on http://127.0.0.1:%d", &p->port) == 1;
}

bool t_program_start(t_program *p, const char *name, const char *value) {
    return start(p, name, value, false);
}

bool t_program_start_quiet(t_program *p) {
    return start(p, NULL, NULL, true);
}

void t_program_tell(const t_program *p, int signum) {
    usleep(30000);
    kill(p->pid, signum);
}

int t_program_finish(t_program *p) {
    int status = -1;
    waitpid(p->pid, &status, 0);
    close(p->out);
    if (p->err >= 0)
        close(p->err);
    return status;
}
