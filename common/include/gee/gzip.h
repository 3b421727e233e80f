/*
 * Compressed responses: the gzip coding (RFC 1952), for clients that take it (RFC 9110,
 * 12.5.3, with q values).
 *
 * Compressed is what has a Content-Type that is worth it and a body of min_size or more, or
 * one whose length is not known; also an event stream, where each gee_flush, thus each
 * event, comes out at once. Left as it is: an answer to HEAD; 204, 205, 206, 304; what
 * has a Content-Encoding already; and what says Cache-Control: no-transform, which is how
 * a handler says that it does not want this. Vary: Accept-Encoding is set on all that
 * another client might get compressed.
 *
 * A strong ETag becomes a weak one (W/"…") in a compressed response: the bytes are others,
 * the content is not. So If-None-Match goes on working, and If-Range, which would mix
 * bytes of both, rightly does not. Accept-Ranges becomes none, for the same reason.
 *
 * A body in one piece up to 64 KiB is sent with its length, others in chunks. The length
 * announced with gee_content_length is kept as without this, in the bytes of the handler; so are
 * the bytes in the access log and the metrics.
 *
 * Memory: until the end of a response that is compressed, however it ends, 8 << window_bits
 * bytes and 6 KiB of zlib, so 70 KiB by default; less for a body that is known to be smaller
 * than the window (14 KiB for one of 1 KiB). 10,000 open event streams are 700 MB: where
 * that is too much, register their route before this. Compressing takes the worker's time,
 * measured 70 ms a MiB of text at level 1 and 140 ms at level 6; others run in between, every
 * 16 KiB, so that each of these calls may yield.
 *
 * BREACH: in a response over TLS, the length of what is compressed tells what is in it. If a
 * page holds both a secret (a CSRF token, say) and text which the request's sender chooses,
 * somebody who sees the lengths of many such pages can guess the secret. Such pages are to
 * be sent with Cache-Control: no-transform, or with a secret that is masked anew each time.
 */
#ifndef GEE_GZIP_H
#define GEE_GZIP_H

#include "gee/engine.h"
#include "gee/req.h"

typedef struct gee_gzip_options {
    int level;       /* 1, the fastest, to 9, the smallest; 0: 6 */
    int window_bits; /* 9 to 15: how far back it looks, 1 << window_bits; 0: 13 */
    size_t min_size; /* of a body; 0: 1024 */
    /* Media types, separated by commas; a star at one end stands for anything. NULL (with … for
     * the star): "text/…, …+json, …+xml, application/json, application/javascript, application/xml,
     * application/x-ndjson, application/wasm, image/bmp, image/x-icon, font/ttf, font/otf" */
    const char *types;
} gee_gzip_options;

/*
 * For the routes that are registered after it in this group. opt may be NULL; it is copied.
 * Where two of these are around a handler, the outer one counts. 0, UV_EINVAL or UV_ENOMEM.
 * If there is no memory for a request, its response is not compressed.
 */
int gee_use_gzip(gee_group *g, const gee_gzip_options *opt);

#endif
