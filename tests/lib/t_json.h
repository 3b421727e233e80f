/* Places in JSON. */
#ifndef GEE_TESTS_T_JSON_H
#define GEE_TESTS_T_JSON_H

#include <jansson.h>
#include <stdbool.h>

/*
 * The value at a path: a.b[2].c; [0] of an array; "" is the value itself. Borrowed. NULL: nothing
 * is there, or (*bad) this is no path. A name that has a dot or a bracket in it has no path.
 */
json_t *t_json_at(json_t *value, const char *path, bool *bad);

/* For a message: as JSON, cut where that is long; "not there" for NULL. */
void t_json_show(const json_t *value, char *buf, size_t size);

#endif
