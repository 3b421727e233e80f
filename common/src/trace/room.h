/* Room for records, to be written from one end to the other while requests are served. */
#ifndef GEE_TRACE_ROOM_H
#define GEE_TRACE_ROOM_H

#include <stddef.h>

/* n times size bytes, not cleared, for free(). NULL: no memory, or there is no such number. */
void *gee_room_new(size_t n, size_t size);

#endif
