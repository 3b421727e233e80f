/*
 * When may what was replaced be freed? In Go the collector knows. Here readers that take no lock
 * say when they come and when they go, each worker in a place of its own; and who has replaced
 * something waits until all who were in there have gone. Then nobody has it any more.
 *
 * It works because a task gives up its worker only where it parks, and in here it does not: so a
 * worker has one reader at a time, and the wait is for some instructions (or until the
 * kernel gives a thread its core back). A reader may not park, and may not wait for readers.
 */
#ifndef CH03_GUARD_H
#define CH03_GUARD_H

/* Of a worker. What is loaded between the two, by a seq_cst load, stays until the second. */
void guard_enter(void);
void guard_leave(void);
/* Behind a seq_cst store that has replaced something: nobody has the old one when it returns. */
void guard_wait(void);

#endif
