/*
 * Where a parcel is: who asks waits a moment for news of it. Each parcel that somebody waits for
 * has a channel, found by its number; all of it is used on one worker, the server's.
 */
#include "hunt.h"
#include <stdlib.h>
#include <string.h>

enum { SHELVES = 1024, WAIT_MS = 60 };

typedef struct topic {
    struct topic *next;
    gee_chan *news; /* of int: the station */
    int waiting;
    char id[24];
} topic;

static bool for_good;
static topic *shelves[SHELVES];

static topic **shelf_of(const char *id) {
    unsigned h = 5381;
    for (; *id; id++)
        h = h * 33 + (unsigned char)*id;
    return &shelves[h % SHELVES];
}

static topic *find(const char *id) {
    topic *t = *shelf_of(id);
    while (t && strcmp(t->id, id) != 0)
        t = t->next;
    return t;
}

static topic *open_topic(const char *id) {
    topic *t = find(id);
    if (t)
        return t;
    t = calloc(1, sizeof(*t));
    if (t == NULL || (t->news = gee_chan_new(sizeof(int), 1)) == NULL) {
        free(t);
        return NULL;
    }
    strncpy(t->id, id, sizeof(t->id) - 1);
    t->next = *shelf_of(id);
    *shelf_of(id) = t;
    return t;
}

static void leave(topic *gone) {
    if (--gone->waiting > 0 || for_good)
        return;
    topic **at = shelf_of(gone->id);
    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    gee_chan_unref(gone->news);
    free(gone);
}

static void where(gee_req *req) {
    const char *id = gee_param(req, "id");
    topic *t = strlen(id) < sizeof(t->id) ? open_topic(id) : NULL;
    if (t == NULL) {
        gee_fail(req, 404);
        return;
    }
    t->waiting++;
    int station = 0;
    gee_ctx *moment = gee_ctx_with_timeout(gee_req_ctx(req), WAIT_MS);
    int rc = moment ? gee_chan_recv(moment, t->news, &station) : UV_ENOMEM;
    if (moment)
        gee_ctx_end(moment);
    leave(t);
    if (rc == 0)
        gee_string(req, 200, "at station %d\n", station);
    else
        gee_string(req, 200, "no news\n");
}

static void scanned(gee_req *req) {
    topic *t = find(gee_param(req, "id"));
    int station = (int)(gee_random_number() % 12) + 1;
    if (t)
        gee_chan_try_send(t->news, &station);
    gee_abort_status(req, 204);
}

int topics_routes(gee_group *g, bool guilty) {
    for_good = guilty;
    int rc = gee_GET(g, "/parcel/:id", where);
    return rc < 0 ? rc : gee_POST(g, "/parcel/:id", scanned);
}
