/* Inside of the transport by libcurl. */
#ifndef GEE_OTLP_CURL_CLIENT_H
#define GEE_OTLP_CURL_CLIENT_H

#include "gee/otlp_curl.h"
#include <curl/curl.h>

/* One call at a time uses it, on whichever thread. */
typedef struct gee_otlp_client {
    CURL *easy;
    CURLM *multi; /* for its wakeup; it has the connections */
    struct curl_slist *headers;
    char *urls[GEE_OTLP_SIGNALS];
    const char *paths[GEE_OTLP_SIGNALS];
} gee_otlp_client;

/* options.c: from opt and the environment. 0, UV_EINVAL (said), UV_ENOMEM. */
int gee_otlp_client_configure(gee_otlp_client *c, const gee_otlp_curl_options *opt);

#endif
