// A framework as the Gee tutorials for Go build it, on net/http: a context of its own, a tree of
// segments, groups of middlewares. As small as they are, and no faster on purpose or slower.
package main

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
)

type handler func(*call)

type call struct {
	w      http.ResponseWriter
	req    *http.Request
	params map[string]string
	keys   map[string]interface{}
	chain  []handler
	at     int
}

func (c *call) next() {
	for c.at++; c.at < len(c.chain); c.at++ {
		c.chain[c.at](c)
	}
}

func (c *call) set(key string, v interface{}) {
	if c.keys == nil {
		c.keys = map[string]interface{}{}
	}
	c.keys[key] = v
}

func (c *call) text(status int, format string, args ...interface{}) {
	c.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	c.w.WriteHeader(status)
	fmt.Fprintf(c.w, format, args...)
}

type node struct {
	pattern  string // where a route ends
	segment  string
	children []*node
}

func (n *node) isParam() bool { return strings.HasPrefix(n.segment, ":") }

func (n *node) add(pattern string, segments []string) {
	for _, s := range segments {
		var child *node
		for _, c := range n.children {
			if c.segment == s {
				child = c
			}
		}
		if child == nil {
			child = &node{segment: s}
			n.children = append(n.children, child)
		}
		n = child
	}
	n.pattern = pattern
}

func (n *node) find(segments []string) *node {
	if len(segments) == 0 {
		if n.pattern == "" {
			return nil
		}
		return n
	}
	for _, c := range n.children {
		if c.segment == segments[0] || c.isParam() {
			if found := c.find(segments[1:]); found != nil {
				return found
			}
		}
	}
	return nil
}

type engine struct {
	trees    map[string]*node
	handlers map[string]handler
	use      []handler
}

func split(path string) []string { return strings.Split(strings.Trim(path, "/"), "/") }

func (e *engine) handle(method, pattern string, h handler) {
	if e.trees[method] == nil {
		e.trees[method] = &node{}
	}
	e.trees[method].add(pattern, split(pattern))
	e.handlers[method+" "+pattern] = h
}

func (e *engine) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	c := &call{w: w, req: req, at: -1, chain: append([]handler(nil), e.use...)}
	parts := split(req.URL.Path)
	var n *node
	if tree := e.trees[req.Method]; tree != nil {
		n = tree.find(parts)
	}
	if n == nil {
		c.chain = append(c.chain, func(c *call) { c.text(404, "404 Not Found\n") })
	} else {
		c.params = map[string]string{}
		for i, s := range split(n.pattern) {
			if s[0] == ':' {
				c.params[s[1:]] = parts[i]
			}
		}
		c.chain = append(c.chain, e.handlers[req.Method+" "+n.pattern])
	}
	c.next()
}

func main() {
	var requests int64
	e := &engine{trees: map[string]*node{}, handlers: map[string]handler{}}
	e.use = append(e.use, func(c *call) {
		atomic.AddInt64(&requests, 1)
		c.next()
	}, func(c *call) {
		c.set("user", &requests)
		c.next()
	})
	e.handle("GET", "/hello/:name", func(c *call) { c.text(200, "hello, %s!\n", c.params["name"]) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("listening on http://%s\n", l.Addr())
	panic(http.Serve(l, e))
}
