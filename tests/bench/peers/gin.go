// Gin, with everything that is measured: two middlewares, a parameter, JSON, files, streams,
// deadlines and a fan-out.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/gin-gonic/gin"
)

var requests, ticks int64

var (
	goneLock sync.Mutex
	gone     = map[string]int64{}
)

// The clock of the client, which is on this machine.
func monotonic() int64 {
	var ts syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, 1, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

func events(c *gin.Context) {
	ms, _ := strconv.Atoi(c.Query("ms"))
	if ms == 0 {
		ms = 3600 * 1000
	}
	_, port, _ := net.SplitHostPort(c.Request.RemoteAddr)
	defer func() {
		goneLock.Lock()
		gone[port] = monotonic()
		goneLock.Unlock()
	}()
	c.Header("Content-Type", "text/event-stream")
	c.Header("Cache-Control", "no-cache")
	c.Status(200)
	c.Writer.Flush()
	ticker := time.NewTicker(time.Duration(ms) * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-c.Request.Context().Done():
			return
		case <-ticker.C:
			atomic.AddInt64(&ticks, 1)
			if _, err := io.WriteString(c.Writer, "event: tick\ndata: tock\n\n"); err != nil {
				return
			}
			c.Writer.Flush()
		}
	}
}

func told(c *gin.Context) {
	goneLock.Lock()
	defer goneLock.Unlock()
	fmt.Fprintln(c.Writer, atomic.SwapInt64(&ticks, 0))
	for port, ns := range gone {
		fmt.Fprintln(c.Writer, port, ns)
	}
	gone = map[string]int64{}
}

func deadline(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), 100*time.Millisecond)
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	c.Next()
}

func after(c *gin.Context) {
	ms, _ := strconv.Atoi(c.Param("ms"))
	timer := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		c.String(200, "in time\n")
	case <-c.Request.Context().Done():
		c.String(504, "504 Gateway Timeout\n")
	}
}

func fanOut(c *gin.Context) {
	var wg sync.WaitGroup
	n := []int{1, 2, 3, 4}
	wg.Add(len(n))
	for i := range n {
		go func(v *int) {
			defer wg.Done()
			*v *= *v
		}(&n[i])
	}
	wg.Wait()
	c.String(200, "%d\n", n[0]+n[1]+n[2]+n[3])
}

func echo(c *gin.Context) {
	var v interface{}
	if err := c.ShouldBindJSON(&v); err != nil {
		c.AbortWithStatus(400)
		return
	}
	c.JSON(200, v)
}

func main() {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.GET("/events", events)
	r.GET("/gone", told)
	r.GET("/limited/:ms", deadline, after)
	r.Use(func(c *gin.Context) {
		atomic.AddInt64(&requests, 1)
		c.Next()
	})
	r.Use(func(c *gin.Context) {
		c.Set("user", &requests)
		c.Next()
	})
	r.GET("/hello/:name", func(c *gin.Context) { c.String(200, "hello, %s!\n", c.Param("name")) })
	r.GET("/fanout", fanOut)
	r.POST("/json", echo)
	if len(os.Args) > 1 {
		r.Static("/files", os.Args[1])
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("listening on http://%s\n", l.Addr())
	panic(http.Serve(l, r))
}
