/* IP addresses and networks, both families as one: an IPv4 address is a mapped IPv6 one. */
#ifndef GEE_WEB_NET_H
#define GEE_WEB_NET_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct gee_net {
    struct in6_addr ip;
    unsigned bits; /* of 128 that count; the others are 0 */
} gee_net;

/*
 * Of the n bytes at s, all: 192.0.2.1, 2001:db8::1, [2001:db8::1], and with a port behind it
 * the first and the last. False: it is none of them. A zone (%eth0) is no part of an address.
 */
bool gee_ip_parse(const char *s, size_t n, struct in6_addr *ip);
/* The shortest form; buf has INET6_ADDRSTRLEN bytes. */
void gee_ip_text(const struct in6_addr *ip, char *buf);

/* 192.0.2.0/24, or an address, which is a network of one. False: it is none, or has bits
 * behind its prefix. */
bool gee_net_parse(const char *s, size_t n, gee_net *net);
bool gee_net_has(const gee_net *net, const struct in6_addr *ip);

#endif
