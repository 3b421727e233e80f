# The programs of `make bench`; those of peers that are not installed are left out.
BENCH := $(B)/bench
BENCH_PROGRAMS := $(addprefix $(BENCH)/,floor gee micro streams deadline routes profile watched traced)
ifeq ($(shell pkg-config --exists libmicrohttpd 2>/dev/null && echo yes),yes)
BENCH_PROGRAMS += $(BENCH)/mhd
endif

# Debian's Go packages are sources under /usr/share/gocode.
GIN := /usr/share/gocode/src/github.com/gin-gonic/gin
GO  := GOPATH=/usr/share/gocode GO111MODULE=off GOCACHE=$(CURDIR)/build/go-cache go
ifneq ($(and $(shell command -v go),$(wildcard $(GIN)/gin.go)),)
BENCH_PROGRAMS += $(addprefix $(BENCH)/,gin gogee micro-go)
endif

.PHONY: bench-programs
bench-programs: $(BENCH_PROGRAMS)

$(BENCH)/%: $(B)/tests/bench/peers/%.o $(LIB)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) $(BENCH_LIBS)
$(BENCH)/mhd: BENCH_LIBS = $(shell pkg-config --libs libmicrohttpd)

$(BENCH)/%: $(B)/tests/bench/%.o $(LIB)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BENCH)/%: tests/bench/peers/%.go
	@mkdir -p $(@D)
	@echo "  GO      $@"
	@$(GO) build -o $@ $<

$(BENCH)/micro-go: tests/bench/micro_test.go
	@mkdir -p $(@D)
	@echo "  GO      $@"
	@$(GO) test -c -o $@ $<
