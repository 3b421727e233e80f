# The programs of `make bench`.
BENCH_PROGRAMS := $(B)/bench/floor $(B)/bench/hello $(B)/bench/streams $(B)/bench/routes $(B)/bench/deadline $(B)/bench/profile
.PHONY: bench-programs
bench-programs: $(BENCH_PROGRAMS)
$(B)/bench/%: $(B)/tests/bench/%.o $(LIB)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
