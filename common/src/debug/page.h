/* The pages under /debug. */
#ifndef GEE_DEBUG_PAGE_H
#define GEE_DEBUG_PAGE_H

#include "base/buf.h"
#include "gee/debug.h"
#include "gee/req.h"

void gee_task_text(gee_buf *b, const gee_task_info *t);
json_t *gee_task_json(const gee_task_info *t); /* NULL: no memory */
bool gee_query_is(gee_req *req, const char *name, const char *value);

/* paths.c: of ?paths=1 */
void gee_paths_page(gee_req *req);

/* routes.c */
void gee_routes_page(gee_req *req);

/* requests.c */
void gee_requests_page(gee_req *req);

#endif
