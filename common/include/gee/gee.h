/* All of Gee in C. */
#ifndef GEE_H
#define GEE_H

#include "gee/chan.h"
#include "gee/config.h"
#include "gee/cookie.h"
#include "gee/ctx.h"
#include "gee/debug.h"
#include "gee/engine.h"
#include "gee/flags.h"
#include "gee/gzip.h"
#include "gee/health.h"
#include "gee/html.h"
#include "gee/http.h"
#include "gee/json.h"
#include "gee/metrics.h"
#include "gee/middleware.h"
#include "gee/multipart.h"
#include "gee/panic.h"
#include "gee/recovery.h"
#include "gee/req.h"
#include "gee/run.h"
#include "gee/sse.h"
#include "gee/static.h"
#include "gee/sync.h"
#include "gee/task.h"
#include "gee/timeout.h"

#endif
