/*
 * Who sent a request, where there are proxies in front of the server.
 *
 * The other end of the connection is known for sure (gee_remote). What a header says of somebody
 * behind it is what that other end says, and anybody can write a header. So only a proxy that is
 * trusted is believed, and of what it says only the part that trusted proxies have written.
 */
#ifndef GEE_CLIENTIP_H
#define GEE_CLIENTIP_H

#include "gee/req.h"

typedef struct gee_trust_options {
    /*
     * Addresses and networks: "127.0.0.1, 10.0.0.0/8, 2001:db8::/32". "unix" is whoever comes
     * over a Unix domain socket, "simulated" a connection of the simulation. NULL or "": nobody.
     */
    const char *proxies;
    /*
     * The header that these proxies set, in each request, whatever the client has sent.
     *   NULL, "X-Forwarded-For"   a list, to whose right end each proxy adds who came to it
     *   any other, "X-Real-IP"    one address, that replaces what the client has sent
     * A second header is not looked at: if the proxy lets it through, it is the client's.
     */
    const char *header;
} gee_trust_options;

/*
 * Which proxies are trusted: of the root group, by the whole engine, for every request, also where
 * it matches no route; of another group, instead of that, from the place on at which the group's
 * other middlewares are registered. Without it nobody is. opt is copied; NULL: nobody.
 * 0, UV_EINVAL: not a network (bits behind its prefix, too), or not a header's name; UV_ENOTSUP:
 * the header Forwarded (RFC 7239); UV_ENOMEM. The error stays with the engine, as that of gee_use.
 * Before gee_listen.
 */
int gee_trust_proxies(gee_group *g, const gee_trust_options *opt);

/*
 * The address of the client, without a port: "192.0.2.1", "2001:db8::1"; of an IPv4 address in an
 * IPv6 one, the IPv4 address. "unix", "simulated" where that is all there is; "": the connection
 * was closed before anybody asked, or there is no memory for it.
 *
 * It is the other end's, unless that is trusted. Then the list is walked from its right end, for as
 * long as who stands there is trusted too; the first who is not is the client. What stands left of
 * him he may have written himself, and it is not looked at. Something that is no address ends the
 * walk: the client is then the last one who was named. Ports and brackets are taken off.
 *
 * The access log and the rate limit (gee/middleware.h) ask this. Call from the request's task;
 * of a copy of the request, from any.
 */
const char *gee_client_ip(gee_req *req);

#endif
