/* What a parcel costs: a table of 40,000 postal codes, each with its zone. */
#include "hunt.h"
#include <stdlib.h>
#include <string.h>

enum { CODES = 40000, FIRST = 10000 };

typedef struct entry {
    int code, cents;
} entry;

static bool as_it_is;
static entry table[CODES];

static int by_code(const void *a, const void *b) {
    const entry *x = a, *y = b;
    return (x->code > y->code) - (x->code < y->code);
}

/* As the tariff office delivers it: in no order. */
static void deliver(void) {
    for (int i = 0; i < CODES; i++) {
        int code = FIRST + (int)((unsigned)i * 24593u % CODES);
        table[i] = (entry){.code = code, .cents = 400 + code % 7 * 90};
    }
}

static const entry *look_up(const entry *sorted, int code) {
    return bsearch(&(entry){.code = code}, sorted, CODES, sizeof(entry), by_code);
}

static int cents_to(int code) {
    const entry *found;
    if (!as_it_is) {
        found = look_up(table, code);
        return found ? found->cents : -1;
    }
    entry *copy = malloc(sizeof(table));
    if (copy == NULL)
        return -1;
    memcpy(copy, table, sizeof(table));
    qsort(copy, CODES, sizeof(entry), by_code);
    found = look_up(copy, code);
    int cents = found ? found->cents : -1;
    free(copy);
    return cents;
}

static void price(gee_req *req) {
    int cents = cents_to(atoi(gee_default_query(req, "to", "0")));
    if (cents < 0)
        gee_fail(req, 404);
    else
        gee_string(req, 200, "%d.%02d\n", cents / 100, cents % 100);
}

int prices_routes(gee_group *g, bool guilty) {
    as_it_is = guilty;
    deliver();
    if (!guilty)
        qsort(table, CODES, sizeof(entry), by_code);
    return gee_GET(g, "/price", price);
}
