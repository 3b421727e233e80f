/*
 * Feature flags: asked for in handlers, switched while the server runs.
 *
 * A flag that is on may still not be for everyone. It may have a rule, which decides who has
 * it: one user in ten, those whom a table names. And it may need another flag: where that is off,
 * it is off too. Many tasks ask at a time, of any worker; one at a time changes something. An
 * answer is of one moment: whatever is switched meanwhile, a flag and those it needs are looked at
 * as they were together.
 */
#ifndef GEE_FLAGS_H
#define GEE_FLAGS_H

#include "gee/task.h"
#include <stdbool.h>

typedef struct gee_flags gee_flags;

/*
 * Does `who`, as the caller of gee_flags_ask named him, have the flag? 1, 0, or an error, which is
 * then the answer. It may park, under ctx, and nothing is switched meanwhile; it may panic. It
 * must not use the same gee_flags: a switch may wait for it, and it would wait for the switch.
 */
typedef int (*gee_flag_rule)(gee_ctx *ctx, const void *who, void *arg);

typedef struct gee_flag {
    const char *name;
    bool on;
    const char *needs;  /* another flag; NULL: none */
    gee_flag_rule rule; /* NULL: for everyone */
    void *arg;          /* the rule's; the caller's own, for as long as the flag is there */
} gee_flag;

gee_flags *gee_flags_new(void); /* NULL: no memory */
/* When no task uses it any more. */
void gee_flags_free(gee_flags *f);

/*
 * A new flag, or another one in the place of that name; strings are copied. 0, or
 *   UV_EINVAL  it has no name;  UV_ENOENT  what it needs is not there
 *   UV_ELOOP   it would need itself;  UV_ENOMEM;  the error of ctx
 * and nothing has changed.
 */
int gee_flags_put(gee_ctx *ctx, gee_flags *f, const gee_flag *flag);
/* 0, UV_ENOENT, or the error of ctx. Waits for those who ask now; who asks later waits for it. */
int gee_flags_switch(gee_ctx *ctx, gee_flags *f, const char *name, bool on);
/*
 * 1: who has it; 0: he has not. UV_ENOENT: there is no such flag; the error of a rule, or of ctx.
 * A flag's own rule comes first, and then those it needs.
 */
int gee_flags_ask(gee_ctx *ctx, gee_flags *f, const char *name, const void *who);

#endif
