# A workshop, to be repaired by you: CH and the commands are below (make help).
#
# The framework is here as objects, but for the headers and what you may read of its sources; the
# tests are objects too. You edit exercise/ of the chapter, and nothing else.

.DEFAULT_GOAL := help
PACK := yes
include tests/tools/flavours.mk

CHAPTER := $(patsubst %/,%,$(dir $(wildcard ch[0-9][0-9]-*/cases.ini)))
CH      ?= $(CHAPTER)
LIB     := $(B)/libgee.a
DEPS    := sh tests/tools/deps.sh
SELECT  := $(CH) $(if $(CASE),--case $(CASE))
TESTLIB_OBJS := $(wildcard $(B)/tests/lib/*.o)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(B)/tests/common/test_signals: LDFLAGS += $(WRAP_signals)
$(B)/tests/common/test_keys: LDFLAGS += $(WRAP_keys)
$(B)/tests/common/test_%: $(B)/tests/common/test_%.o $(TESTLIB_OBJS) $(LIB)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $(linked) $(LIBS) $(TEST_LIBS)

include tests/tools/lessons.mk
include tests/tools/workshop.mk

.PHONY: help deps serve-broken serve-fixed
help: workshop-help
	@echo 'make serve-broken, serve-fixed     the chapter'"'"'s server as it is and as it should be; CASE=…, PORT=8080'
	@echo 'make deps            what this needs, for the day without a network'

serve-broken serve-fixed:
	@$(DEPS) check
	@python3 tests/tools/lesson.py serve $(patsubst serve-%,%,$@) $(SELECT)

deps:
	@$(DEPS) check clang valgrind

-include $(shell find build/$(FLAVOUR) -name '*.d' 2>/dev/null)
.SECONDARY:
