/* Ids that others have made up, and how a request has ended: what logs and records share. */
#ifndef GEE_MIDDLEWARE_ID_H
#define GEE_MIDDLEWARE_ID_H

#include "gee/req.h"

/*
 * 1 to max letters, digits and bytes of extra: an id that goes into logs and into headers of
 * other systems has no byte that means something there.
 */
bool gee_id_is_harmless(const char *id, size_t max, const char *extra);

/* The status to write down behind the handlers; returned: they did, and no panic went by. */
int gee_status_at_end(const gee_req *req, bool returned);

#endif
