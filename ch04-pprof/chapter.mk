# What this chapter needs beside the rules of all (tests/tools/lessons.mk).

# The service of the hunt: over the framework as it should be.
HUNT := $(patsubst %.c,$(B)/%.o,$(wildcard ch04-pprof/hunt/*.c))
$(B)/ch04-pprof/hunt/server: $(HUNT) $(LIB)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIB) $(LIBS)
