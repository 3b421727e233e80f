/*
 * What a task holds while it lives, and when it lets go: its stack and its owner.
 */
#ifndef GEE_TESTS_T_LIFE_H
#define GEE_TESTS_T_LIFE_H

#include "t.h"

/* So many stacks are some task's: neither in a cache nor unmapped. Of a runtime with one worker. */
int64_t t_stacks_held(void);

/* Of the calling worker; its memory is gone when it is dead. */
gee_task *t_youngest(void);
/* The task as it is seen from outside; its state is "gone" when there is none of that id. */
gee_task_info t_look_at(uint64_t id);

/*
 * A ctx with a value that is freed with the last reference on it: so that can be seen, of one
 * such ctx at a time. t_owners_freed counts from the latest t_owner on.
 */
gee_ctx *t_owner(gee_ctx *parent);
int t_owners_freed(void);

#endif
