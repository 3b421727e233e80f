#include "pprof/proto.h"
#include <uv.h>
#include <zlib.h>

enum { VARINT = 0, BYTES = 2 };

static void append(gee_proto *w, const void *data, size_t n) {
    if (n > 0 && gee_buf_append(w->out, data, n) < 0)
        w->rc = UV_ENOMEM;
}

/* Seven bits a byte, the lowest first; the eighth says that there are more. */
void gee_proto_varint(gee_proto *w, uint64_t v) {
    uint8_t bytes[10];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        bytes[n++] = (uint8_t)(v | 0x80);
    bytes[n++] = (uint8_t)v;
    append(w, bytes, n);
}

static void key(gee_proto *w, int field, int type) {
    gee_proto_varint(w, (uint64_t)field << 3 | (uint64_t)type);
}

void gee_proto_uint(gee_proto *w, int field, uint64_t v) {
    if (v == 0)
        return;
    key(w, field, VARINT);
    gee_proto_varint(w, v);
}

void gee_proto_bytes(gee_proto *w, int field, const void *data, size_t n) {
    key(w, field, BYTES);
    gee_proto_varint(w, n);
    append(w, data, n);
}

void gee_proto_message(gee_proto *w, int field, gee_proto *inner) {
    gee_proto_bytes(w, field, gee_buf_size(inner->out) ? gee_buf_head(inner->out) : "",
                    gee_buf_size(inner->out));
    gee_buf_consume(inner->out, gee_buf_size(inner->out));
    if (inner->rc < 0)
        w->rc = inner->rc;
}

int gee_gzip_whole(const void *data, size_t n, gee_buf *out) {
    enum { GZIP = 15 + 16 /* a gzip header around */, MEMORY = 8, MOST = 1 << 30 };
    z_stream z = {.next_in = (Bytef *)data, .avail_in = (uInt)n};
    if (n > MOST || deflateInit2(&z, 1, Z_DEFLATED, GZIP, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return UV_ENOMEM;
    size_t most = deflateBound(&z, n);
    int rc = gee_buf_reserve(out, most);
    if (rc == 0) {
        z.next_out = (Bytef *)out->data + out->len;
        z.avail_out = (uInt)most;
        rc = deflate(&z, Z_FINISH) == Z_STREAM_END ? 0 : UV_ENOMEM;
        out->len += most - z.avail_out;
    }
    deflateEnd(&z);
    return rc;
}
