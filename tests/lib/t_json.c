#include "t_json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 80 };

/* The next step of a path, .name or [n]. False: it is no path. */
static bool step(const char **path, json_t **value) {
    char *end, name[128];
    if (**path == '[') {
        unsigned long i = strtoul(*path + 1, &end, 10);
        if (end == *path + 1 || *end != ']')
            return false;
        *value = json_array_get(*value, i);
        *path = end + 1;
    } else {
        const char *from = *path + (**path == '.');
        size_t n = strcspn(from, ".[");
        if (n == 0 || n >= sizeof(name))
            return false;
        memcpy(name, from, n);
        name[n] = '\0';
        *value = json_object_get(*value, name);
        *path = from + n;
    }
    return **path == '\0' || **path == '.' || **path == '[';
}

json_t *t_json_at(json_t *value, const char *path, bool *bad) {
    *bad = *path == '.';
    while (value && *path && !*bad)
        *bad = !step(&path, &value);
    return *bad ? NULL : value;
}

void t_json_show(const json_t *value, char *buf, size_t size) {
    char *dumped = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    size_t n = dumped ? strlen(dumped) : 0;
    snprintf(buf, size, "%.*s%s", SHOWN, dumped ? dumped : "not there", n > SHOWN ? "..." : "");
    free(dumped);
}
