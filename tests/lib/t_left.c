#include "t_left.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SOON_MS = 60 * 1000, AN_HOUR_MS = 3600 * 1000 };

int64_t t_tasks(void) {
    gee_census now;
    gee_census_take(&now);
    return now.tasks;
}

int64_t t_fds(void) {
    gee_census now;
    gee_census_take(&now);
    return now.fds;
}

int t_leaked(void) {
    gee_leak *leaks;
    int n = gee_leakcheck(&leaks);
    free(leaks);
    return n;
}

const char *t_stays(gee_ctx *ctx, int64_t baseline, char *buf, size_t size) {
    uint64_t start = gee_now_ms();
    gee_sleep(ctx, 0); /* until all that follows at once has happened */
    while (t_tasks() > baseline && gee_now_ms() - start < SOON_MS) {
        gee_sleep(ctx, 100);
        gee_sleep(ctx, 0); /* whoever else wakes at this moment goes first, whatever the seed */
    }
    if (t_tasks() > baseline)
        gee_sleep(ctx, AN_HOUR_MS);
    if (t_tasks() > baseline)
        snprintf(buf, size, "for ever");
    else
        snprintf(buf, size, "%.1f s", (double)(gee_now_ms() - start) / 1e3);
    return buf;
}

const char *t_parked(const char *name, char *buf, size_t size) {
    gee_task_info *tasks;
    int n = gee_tasks_list(&tasks);
    snprintf(buf, size, "nowhere");
    for (int i = 0; i < n; i++)
        if (tasks[i].parked_at && strncmp(tasks[i].name, name, strlen(name)) == 0)
            snprintf(buf, size, "%s at %s", tasks[i].reason, tasks[i].parked_at);
    if (n >= 0)
        free(tasks);
    return buf;
}
