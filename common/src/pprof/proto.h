/*
 * Protocol buffers, the wire format (protobuf.dev/programming-guides/encoding), as far as a writer
 * needs it: varints, strings, packed numbers, messages. Into a buffer; without memory the buffer's
 * writer remembers it.
 */
#ifndef GEE_PPROF_PROTO_H
#define GEE_PPROF_PROTO_H

#include "base/buf.h"
#include <stdint.h>

typedef struct gee_proto {
    gee_buf *out;
    int rc; /* 0 or UV_ENOMEM */
} gee_proto;

void gee_proto_varint(gee_proto *w, uint64_t v);
/* A field that is 0 is left out, as the format has it. */
void gee_proto_uint(gee_proto *w, int field, uint64_t v);
void gee_proto_bytes(gee_proto *w, int field, const void *data, size_t n);
/* Appends what `inner` holds as a field, and empties it. */
void gee_proto_message(gee_proto *w, int field, gee_proto *inner);

/* Compresses (RFC 1952); 0 or UV_ENOMEM. */
int gee_gzip_whole(const void *data, size_t n, gee_buf *out);

#endif
