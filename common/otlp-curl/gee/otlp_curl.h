/*
 * The transport of an exporter (gee/otlp.h) by libcurl: http and https, connections that are
 * kept, proxies and certificates as curl has them. A library of its own, libgee-otlp (pkg-config
 * gee-otlp), so that a program without it needs no libcurl.
 *
 * A request is made on a thread, in a lane of its own (gee/lane.h): a collector that hangs takes no
 * thread from other work. It ends as soon as its ctx does.
 */
#ifndef GEE_OTLP_CURL_H
#define GEE_OTLP_CURL_H

#include "gee/otlp.h"

typedef struct gee_otlp_curl_options {
    const char *endpoint; /* NULL: "http://localhost:4318". The paths come behind it */
    const char *headers; /* of each request: "name=value,name=value", percent-encoded; NULL: none */
} gee_otlp_curl_options;

/*
 * A transport for one exporter; gee_otlp_free frees it. opt may be NULL, and is copied. The
 * environment goes before it:
 *   OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS
 *   OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, …_LOGS_…, …_METRICS_…   the whole URL of a signal
 *   OTEL_EXPORTER_OTLP_CERTIFICATE   a file with the authorities of an https collector
 * 0; UV_EINVAL: not an http or https URL, or not such headers (said on stderr); UV_ENOMEM. While
 * there is one thread, since it starts libcurl (curl_global_init).
 */
int gee_otlp_curl_new(const gee_otlp_curl_options *opt, gee_otlp_transport *out);
/* Frees a transport that no exporter has taken. */
void gee_otlp_curl_free(gee_otlp_transport *t);

#endif
