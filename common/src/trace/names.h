/*
 * The names of tasks, each kept once: a record has its number.
 *
 * A client can make as many names as it likes, one for each path. So there are only so many; when
 * few are left a request is known by the first segment of its path, "GET /users/...", and when none
 * is left a name is "(other names)".
 */
#ifndef GEE_TRACE_NAMES_H
#define GEE_TRACE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GEE_NAME = 32,
    GEE_NAMES = 4096,
    GEE_NAMES_WHOLE = 3072,
    GEE_NAMES_HASH = 8192,
    GEE_NAMES_LATEST = 128
};

/* A name, and what stands behind its end, whatever it is. */
typedef union gee_name_key {
    uint64_t word[GEE_NAME / 8];
    char text[GEE_NAME];
} gee_name_key;

typedef struct gee_names {
    size_t n;
    char at[GEE_NAMES + 1][GEE_NAME]; /* from 1 on */
    uint16_t hash[GEE_NAMES_HASH];    /* numbers; 0: free */
    /* Those that were asked for latest: a request's is looked for as it is, by words. */
    struct {
        gee_name_key key;
        uint16_t number; /* 0: none */
    } latest[GEE_NAMES_LATEST];
} gee_names;

/* name has GEE_NAME bytes, in which it ends. Its number; it is added if it is new. */
uint16_t gee_names_number(gee_names *ns, const char *name);

#endif
