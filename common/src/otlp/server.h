/* Of a request, for other files of this layer. */
#ifndef GEE_OTLP_SERVER_H
#define GEE_OTLP_SERVER_H

#include "otlp/context.h"

/* Of the span of a request, also when it has ended, and of a copy. NULL: there was none. */
gee_span_context *gee_req_span_context(gee_req *req);

#endif
