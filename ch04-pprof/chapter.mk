# What the tests of this chapter need beside the rules of all (tests/tools/lessons.mk).

# It has a malloc with a lock of its own, and finds a thread that waits for itself.
$(B)/ch04-pprof/test_sampler.%: LDFLAGS += -Wl,--wrap=malloc -Wl,--wrap=free -Wl,--wrap=pthread_mutex_lock
# The service of the hunt: over the framework as it should be.
HUNT := $(patsubst %.c,$(B)/%.o,$(wildcard ch04-pprof/hunt/*.c))
$(B)/ch04-pprof/hunt/server: $(HUNT) $(LIB)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIB) $(LIBS)
