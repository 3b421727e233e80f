/*
 * A turnstile: it brings the steps of tasks on two workers into an order, and no tool takes that
 * for synchronisation. So two accesses that race happen one after the other, in every run, and
 * are a race all the same: nothing orders them but luck, and the test is the luck.
 *
 * TSan makes nothing of relaxed atomics; Helgrind and DRD are told to overlook the variable.
 */
#ifndef GEE_TESTS_T_TURN_H
#define GEE_TESTS_T_TURN_H

#include "t_site.h"

typedef struct t_turn {
    _Atomic int at;
} t_turn;

/* Before anyone else has it. It is then turn 0. */
void t_turn_init(t_turn *t);
void t_turn_pass(t_turn *t, int to);
/*
 * Returns at turn n or a later one; false: it has not come in 15 s. Tasks of the same worker do
 * not run meanwhile: the thread is held where it is, as the kernel may hold it anywhere.
 */
bool t_turn_await(t_turn *t, int n);
bool t_turn_await_for(t_turn *t, int n, int seconds);

/* --- a server on two workers, and a client that knows who serves it --- */

/* Answers GET /worker with the index of its worker. */
void t_worker_route(gee_group *root);
/* A connection that worker `index` serves, by that route; blocking; -1: there is none. */
int t_sock_on(int port, int index);
/* Sends GET target. */
int t_sock_get(int fd, const char *target);
/* The body of its response, up to the first line's end; "" if there is none. Returns buf. */
const char *t_sock_line(int fd, char *buf, size_t size);

#endif
