// What micro.c measures, in Go: "cpu-ns/op" is the CPU time of the whole process, which has the
// share of the garbage collector in it.
package main

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/gin-gonic/gin"
)

const (
	batch        = 100
	processClock = 2 // CLOCK_PROCESS_CPUTIME_ID
)

func cpu() int64 {
	var ts syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, processClock, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

// For testing.B, which asks for more operations until they take long enough.
func measure(b *testing.B, n int, fn func(n int)) {
	b.ResetTimer()
	start := cpu()
	fn(n)
	b.ReportMetric(float64(cpu()-start)/float64(n), "cpu-ns/op")
}

func BenchmarkSpawn(b *testing.B) {
	measure(b, (b.N+batch-1)/batch*batch, func(n int) {
		var wg sync.WaitGroup
		for i := 0; i < n; i += batch {
			wg.Add(batch)
			for j := 0; j < batch; j++ {
				go wg.Done()
			}
			wg.Wait()
		}
	})
}

func BenchmarkSwitch(b *testing.B) {
	measure(b, b.N, func(n int) {
		var wg sync.WaitGroup
		wg.Add(2)
		for t := 0; t < 2; t++ {
			go func() {
				for i := 0; i < n/2; i++ {
					runtime.Gosched()
				}
				wg.Done()
			}()
		}
		wg.Wait()
	})
}

// Each wait listens to a context, as each of ours does.
func BenchmarkChan(b *testing.B) {
	to, back := make(chan int), make(chan int)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		for {
			select {
			case v, ok := <-to:
				if !ok {
					return
				}
				select {
				case back <- v:
				case <-ctx.Done():
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	measure(b, b.N, func(n int) {
		for i := 0; i < n; i++ {
			select {
			case to <- i:
			case <-ctx.Done():
			}
			select {
			case <-back:
			case <-ctx.Done():
			}
		}
	})
	close(to)
}

// The same without a context: less than ours does.
func BenchmarkChan_plain(b *testing.B) {
	to, back := make(chan int), make(chan int)
	go func() {
		for v := range to {
			back <- v
		}
	}()
	measure(b, b.N, func(n int) {
		for i := 0; i < n; i++ {
			to <- i
			<-back
		}
	})
	close(to)
}

func BenchmarkSelect(b *testing.B) {
	var ch [4]chan int
	for i := range ch {
		ch[i] = make(chan int)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	measure(b, b.N, func(n int) {
		go func() {
			for i := 0; i < n; i++ {
				ch[i%4] <- i
			}
		}()
		for i := 0; i < n; i++ {
			select {
			case <-ch[0]:
			case <-ch[1]:
			case <-ch[2]:
			case <-ch[3]:
			case <-ctx.Done():
			}
		}
	})
}

func BenchmarkCtx(b *testing.B) {
	parent, stop := context.WithCancel(context.Background())
	defer stop()
	measure(b, b.N, func(n int) {
		for i := 0; i < n; i++ {
			_, cancel := context.WithCancel(parent)
			cancel()
		}
	})
}

func BenchmarkCtx_timeout(b *testing.B) {
	parent, stop := context.WithCancel(context.Background())
	defer stop()
	measure(b, b.N, func(n int) {
		for i := 0; i < n; i++ {
			_, cancel := context.WithTimeout(parent, time.Hour)
			cancel()
		}
	})
}

func BenchmarkTimer(b *testing.B) {
	measure(b, b.N, func(n int) {
		for i := 0; i < n; i++ {
			time.AfterFunc(time.Hour, func() {}).Stop()
		}
	})
}

func BenchmarkKeys(b *testing.B) {
	c := &gin.Context{}
	found := 0
	measure(b, b.N, func(n int) {
		for i := 0; i < n; i++ {
			c.Set("user", &found)
			if _, ok := c.Get("user"); ok {
				found++
			}
		}
	})
}

// Gin's router cannot be asked alone: its context, from a pool, is in this.
func routes(b *testing.B, nroutes int) {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	for i := 0; i < nroutes; i++ {
		r.GET(fmt.Sprintf("/api/v1/r%d/:id", i), func(*gin.Context) {})
	}
	req, _ := http.NewRequest("GET", fmt.Sprintf("/api/v1/r%d/12345", nroutes/2), nil)
	measure(b, b.N, func(n int) {
		for i := 0; i < n; i++ {
			r.ServeHTTP(nobody{}, req)
		}
	})
}

type nobody struct{}

func (nobody) Header() http.Header         { return nil }
func (nobody) Write(p []byte) (int, error) { return len(p), nil }
func (nobody) WriteHeader(int)             {}
func BenchmarkRoute10(b *testing.B)        { routes(b, 10) }
func BenchmarkRoute1000(b *testing.B)      { routes(b, 1000) }
