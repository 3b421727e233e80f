/* The pages of /debug/pprof/, and who may see them. */
#include "gee/run.h"

#include "pprof/pprof.h"
#include "web/net.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

const gee_prof_row gee_prof_rows[] = {
    {"goroutine", "the stacks of all tasks, and who started them; debug=2: a traceback for each",
     gee_prof_page, &gee_prof_goroutine, false},
    {"task", "the same, by the name that it has here", gee_prof_page, &gee_prof_goroutine, false},
    {"taskleak", "the tasks that nothing will ever end", gee_prof_page, &gee_prof_taskleak, false},
    {"profile", "where the CPU time of the next 30 s, or seconds=, goes; hz=100", gee_prof_cpu_page,
     NULL, false},
    {"trace", "what tasks did in ?seconds=1, for Perfetto (ui.perfetto.dev) and speedscope",
     gee_prof_trace_page, NULL, false},
    {"heap", "what the framework holds, by type and by who made it: objects and bytes",
     gee_prof_page, &gee_prof_heap, false},
    {"block",
     "the time that tasks have waited, while somebody counts it: ?seconds=, or the program",
     gee_prof_page, &gee_prof_block, false},
    {"mutex", "of that, the time that they have waited for locks", gee_prof_page, &gee_prof_mutex,
     false},
    {"cmdline", "the command line of this program", gee_prof_cmdline_page, NULL, false},
    {"symbol", "the names of functions by their addresses", gee_prof_symbol_page, NULL, true},
    {0},
};

const gee_prof_kind *gee_prof_kind_find(const char *name) {
    for (const gee_prof_row *r = gee_prof_rows; r->name; r++)
        if (r->kind && strcmp(r->name, name) == 0)
            return r->kind;
    return NULL;
}

/* 127.0.0.0/8 or ::1. A simulated connection has no address, and is of this machine too. */
static bool is_of_this_machine(const char *remote) {
    struct in6_addr ip;
    if (strncmp(remote, "sim", 3) == 0)
        return gee_simulated();
    if (!gee_ip_parse(remote, strlen(remote), &ip))
        return false;
    return IN6_IS_ADDR_LOOPBACK(&ip) || (IN6_IS_ADDR_V4MAPPED(&ip) && ip.s6_addr[12] == 127);
}

static void of_this_machine(gee_req *req) {
    if (is_of_this_machine(gee_remote(req)))
        gee_next(req);
    else {
        gee_string(req, 403,
                   "profiles are for clients on the server's own machine: ask there, or "
                   "through ssh -L\n");
        gee_abort(req);
    }
}

int gee_pprof_routes(gee_group *g, const gee_pprof_options *opt) {
    gee_group *pprof = gee_group_new(g, "/debug/pprof");
    if (pprof == NULL)
        return UV_ENOMEM;
    int rc = 0;
    if (opt == NULL || !opt->any_client)
        rc = gee_use(pprof, of_this_machine, NULL);
    if (rc == 0)
        rc = gee_GET(pprof, "", gee_prof_index_page);
    if (rc == 0)
        rc = gee_GET(pprof, "/", gee_prof_index_page);
    for (const gee_prof_row *r = gee_prof_rows; rc == 0 && r->name; r++) {
        char pattern[64];
        snprintf(pattern, sizeof(pattern), "/%s", r->name);
        rc = gee_handle(pprof, "GET", pattern, r->page, (void *)r->kind);
        if (rc == 0 && r->post)
            rc = gee_handle(pprof, "POST", pattern, r->page, (void *)r->kind);
    }
    return rc;
}
