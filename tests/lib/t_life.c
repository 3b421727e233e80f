#include "t_life.h"
#include "base/count.h"
#include "runtime/worker.h"
#include <stdatomic.h>
#include <stdlib.h>

int64_t t_stacks_held(void) {
    return gee_count_sum(GEE_COUNT_STACKS) - gee_worker_self()->stacks.n;
}

gee_task *t_youngest(void) {
    return gee_container(gee_worker_self()->tasks.prev, gee_task, all);
}

gee_task_info t_look_at(uint64_t id) {
    gee_task_info *all, found = {.state = "gone"};
    int n = gee_tasks_list(&all);
    for (int i = 0; i < n; i++)
        if (all[i].id == id)
            found = all[i];
    free(all);
    return found;
}

static atomic_int owners_freed;

static void freed(void *value) {
    (void)value;
    atomic_fetch_add(&owners_freed, 1);
}

gee_ctx *t_owner(gee_ctx *parent) {
    static const char key;
    static int value;
    atomic_store(&owners_freed, 0);
    return gee_ctx_with_value(parent, &key, &value, freed);
}

int t_owners_freed(void) {
    return atomic_load(&owners_freed);
}
