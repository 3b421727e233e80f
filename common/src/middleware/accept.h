/* Lists in header fields, and what a client accepts. */
#ifndef GEE_MIDDLEWARE_ACCEPT_H
#define GEE_MIDDLEWARE_ACCEPT_H

#include "gee/req.h"

/* The next item of a list with commas (RFC 9110, 5.6.1), without spaces around it; *at moves
 * behind it. False: there is none. */
bool gee_list_next(const char **at, const char **item, size_t *n);
/* Are these n bytes that word? In any case. */
bool gee_word_is(const char *s, size_t n, const char *word);
/* Does a client with these Accept-Encoding fields want gzip rather than the plain bytes? */
bool gee_accepts_gzip(const gee_req *req);

#endif
