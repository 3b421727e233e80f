# `make fuzz FUZZ_S=60`: libFuzzer over tests/fuzz; see tests/fuzz/fuzz.h. It has two programs: `ways`
# compares the parser with itself, `one` is a server and its client; FUZZ_WHAT=ways: one of the two.
# `make fuzz-corpus` takes what was found since into tests/fuzz/corpus, in as few files as cover the same.

FUZZ_S    ?= 60
FUZZ_WHAT ?= ways one
FUZZ_BINS := build/fuzz/fuzz-ways build/fuzz/fuzz-one
FUZZ_NEW  := build/fuzz-corpus
FUZZ_OBJS := $(patsubst %,$(B)/tests/fuzz/%.o,one ways site check)
FUZZ_ENV  := ASAN_OPTIONS=detect_stack_use_after_return=0:allocator_may_return_null=1

.PHONY: fuzz fuzz-build fuzz-corpus fuzz-seconds
fuzz-seconds: # libFuzzer takes what is no number for 0, and 0 for ever
	@case '$(FUZZ_S)' in '' | 0 | *[!0-9]*) echo "FUZZ_S=$(FUZZ_S): not a number of seconds" >&2; exit 2 ;; esac
fuzz-build:
	@$(DEPS) check clang
	@$(AGAIN) -j $(shell nproc) FLAVOUR=fuzz $(FUZZ_BINS) build/fuzz/fuzz-seed
	@rm -rf build/fuzz-seeds && mkdir -p build/fuzz-seeds && build/fuzz/fuzz-seed build/fuzz-seeds

fuzz: | fuzz-seconds fuzz-build
	@for what in $(FUZZ_WHAT); do \
	  new=$(FUZZ_NEW)/$$what; mkdir -p $$new; \
	  echo "fuzzing $$what for $(FUZZ_S) s; new inputs go to $$new"; \
	  $(FUZZ_ENV) build/fuzz/fuzz-$$what -max_total_time=$(FUZZ_S) -max_len=1500 -timeout=10 -use_value_profile=0 \
	    -artifact_prefix=build/fuzz/ -dict=tests/fuzz/words -print_final_stats=1 \
	    $$new tests/fuzz/corpus build/fuzz-seeds || { \
	    f=$$(ls -t build/fuzz/crash-* build/fuzz/timeout-* build/fuzz/leak-* build/fuzz/oom-* 2>/dev/null | head -n 1); \
	    echo "fuzz: it fails with $$f; again with"; \
	    echo "  $(FUZZ_ENV) build/fuzz/fuzz-$$what $$f"; exit 1; }; done

fuzz-corpus: fuzz-build
	@rm -rf build/fuzz-merged && mkdir -p build/fuzz-merged $(FUZZ_NEW)
	@$(FUZZ_ENV) build/fuzz/fuzz-one -set_cover_merge=1 -use_counters=0 -max_len=1500 build/fuzz-merged build/fuzz-seeds tests/fuzz/corpus \
	  $(FUZZ_NEW) 2>&1 | tail -n 1
	@python3 tests/fuzz/pick.py build/fuzz-merged tests/fuzz/corpus

build/fuzz/tests/fuzz/target-%.o: tests/fuzz/target.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(CPPFLAGS) -DFUZZ_TARGET=fuzz_$* $(CFLAGS) -MMD -MP -c $< -o $@
build/fuzz/fuzz-%: build/fuzz/tests/fuzz/target-%.o $(FUZZ_OBJS) $(TESTLIB_OBJS) $(LIB)
	@echo "  LD      $@"
	@$(CC) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LIBS) $(TEST_LIBS) || { \
	  echo "fuzz: this clang has no libFuzzer: install libclang-rt-*-dev of its version" >&2; false; }
build/fuzz/fuzz-seed: build/fuzz/tests/fuzz/seed.o $(TESTLIB_OBJS) $(LIB)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) $(TEST_LIBS)

# Its corpus is a test of every flavour, and its routes are where memory runs out.
$(call on_each_state,test_fuzz_corpus): $(FUZZ_OBJS)
$(call on_each_state,test_torture): $(B)/tests/fuzz/site.o
$(B)/tests/common/test_torture $(B)/tests/common/test_torture.%: \
  LDFLAGS += $(patsubst %,-Wl$(comma)--wrap=%,malloc calloc realloc strdup strndup mmap)
