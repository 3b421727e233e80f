# How the variants of a chapter are linked (docs/architecture.md, "The lessons").
#
# build/F/chNN-x/test_T.broken     chapter NN's broken units, and those of all later chapters
# build/F/chNN-x/test_T.fixed      the later chapters' broken units
# build/F/chNN-x/test_T.decoy-D    the same, and decoys/D.c
# build/F/chNN-x/test_T.only-U     only broken/U.c, and the later chapters' units
# build/F/chNN-x/test_T.repair-N   the later chapters' units, and repairs/N.patch applied to its broken one
# build/F/chNN-x/test_T.mine-U     the later chapters' units, and what a learner has made of broken/U.c: exercise/U.c
# build/F/chNN-x/work/test_T.U     exercise/U.c alone, under a test of common: does it still do its work?
# build/F/chNN-x/server.mine, server.mine-U
# build/F/chNN-x/server.broken, server.fixed
# build/F/chNN-x/server.only-U     only broken/U.c, and the later chapters' units
#
# The objects stand before the library, so its members of the same symbols stay out.

CHAPTERS := $(sort $(patsubst %/,%,$(dir $(wildcard ch[0-9][0-9]-*/cases.ini))))

# The chapters of races. TSan would find theirs in the tests of the chapters in front of them, where
# two requests are served at a time, and be right: there it does without them.
RACY := $(if $(filter tsan,$(FLAVOUR)),$(patsubst %/cases.ini,%,$(shell grep -l '^race =' $(CHAPTERS:%=%/cases.ini) /dev/null)))

# The broken objects of a chapter, and of all that come after it.
units_of    = $(patsubst %.c,$(B)/%.o,$(wildcard $(1)/broken/*.c))
units_after = $(foreach c,$(filter-out $(RACY),$(CHAPTERS)),$(if $(filter $(1),$(firstword $(sort $(1) $(c)))),$(if $(filter-out $(1),$(c)),$(call units_of,$(c)))))

# In a pack for a workshop (pack.mk) these and the tests are there as objects only.
ifdef PACK
units_after = $(wildcard $(B)/later/*.o)
endif
tests_of = $(sort $(basename $(notdir $(wildcard $(1)/test_*.c) $(wildcard $(B)/$(1)/test_*.o))))
work_of  = $(sort $(shell sed -n 's/^work = //p' $(1)/cases.ini))
mine_of  = $(patsubst %.c,$(B)/%.o,$(wildcard $(1)/exercise/*.c))

# Under these tools a unit's line is what it is about; an optimiser moves code away from its line.
TO_THE_LINE := $(if $(filter tsan valgrind,$(FLAVOUR)),-O0)

define link
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS) $(TEST_LIBS)
endef

define chapter_rules
$(B)/$(1)/%.o: CPPFLAGS += $(CPPFLAGS_tests)
$(B)/$(1)/%.o: CFLAGS += $(WHOLE_STACKS)
$(B)/$(1)/broken/%.o $(B)/$(1)/decoys/%.o $(B)/$(1)/exercise/%.o: CFLAGS += $(TO_THE_LINE)
$(B)/$(1)/test_%.broken: $(B)/$(1)/test_%.o $(call units_of,$(1)) $(call units_after,$(1)) $(TESTLIB_OBJS) $(LIB)
	$$(link)
$(B)/$(1)/test_%.fixed: $(B)/$(1)/test_%.o $(call units_after,$(1)) $(TESTLIB_OBJS) $(LIB)
	$$(link)
$(B)/$(1)/server.broken: $(B)/$(1)/server.o $(call units_of,$(1)) $(call units_after,$(1)) $(LIB)
	$$(link)
$(B)/$(1)/server.only-%: $(B)/$(1)/server.o $(B)/$(1)/broken/%.o $(call units_after,$(1)) $(LIB)
	$$(link)
$(B)/$(1)/server.fixed: $(B)/$(1)/server.o $(call units_after,$(1)) $(LIB)
	$$(link)
$(B)/$(1)/server.mine: $(B)/$(1)/server.o $(call mine_of,$(1)) $(call units_after,$(1)) $(LIB)
	$$(link)
$(B)/$(1)/server.mine-%: $(B)/$(1)/server.o $(B)/$(1)/exercise/%.o $(call units_after,$(1)) $(LIB)
	$$(link)
endef

# A learner waits for these links, and gold takes a third of the time.
GOLD := $(if $(filter debug,$(FLAVOUR)),$(if $(shell command -v ld.gold),-fuse-ld=gold))

define mine_rules
$(B)/$(1)/$(2).mine-%: LDFLAGS += $(GOLD)
$(B)/$(1)/$(2).mine-%: $(B)/$(1)/$(2).o $(B)/$(1)/exercise/%.o $(call units_after,$(1)) $(TESTLIB_OBJS) $(LIB)
	$$(link)
endef

define work_rules
$(B)/$(1)/work/$(2).%: LDFLAGS += $(GOLD)
$(B)/$(1)/work/$(2).%: $(B)/tests/common/$(2).o $(B)/$(1)/exercise/%.o $(TESTLIB_OBJS) $(LIB)
	$$(link)
endef

define decoy_rules
$(B)/$(1)/$(2).decoy-$(3): $(B)/$(1)/$(2).o $(B)/$(1)/decoys/$(3).o $(call units_after,$(1)) $(TESTLIB_OBJS) $(LIB)
	$$(link)
endef

define only_rules
$(B)/$(1)/$(2).only-$(3): $(B)/$(1)/$(2).o $(B)/$(1)/broken/$(3).o $(call units_after,$(1)) $(TESTLIB_OBJS) $(LIB)
	$$(link)
endef

# A patch names its unit. The sites in what it makes are those of repairs/N.c, in every tree.
define repair_rules
$(B)/$(1)/repairs/%.c: $(1)/repairs/%.patch $(wildcard $(1)/broken/*.c)
	@mkdir -p $$(@D)
	@echo "  PATCH   $$@"
	@patch -s -p0 -o $$@ "$$$$(sed -n 's/^--- //p' $$<)" $$<
$(B)/$(1)/repairs/%.o: $(B)/$(1)/repairs/%.c
	@echo "  CC      $$@"
	@$$(CC) $$(CPPFLAGS) $$(CFLAGS) -fmacro-prefix-map=$(B)/= -MMD -MP -c $$< -o $$@
endef

define repaired_rules
$(B)/$(1)/$(2).repair-%: $(B)/$(1)/$(2).o $(B)/$(1)/repairs/%.o $(call units_after,$(1)) $(TESTLIB_OBJS) $(LIB)
	$$(link)
endef

$(foreach c,$(CHAPTERS),$(eval $(call chapter_rules,$(c)))\
  $(foreach t,$(call tests_of,$(c)),$(eval $(call mine_rules,$(c),$(t))))\
  $(foreach t,$(call work_of,$(c)),$(eval $(call work_rules,$(c),$(t)))))
$(foreach c,$(CHAPTERS),$(eval $(call repair_rules,$(c)))\
  $(foreach t,$(basename $(notdir $(wildcard $(c)/test_*.c))),$(eval $(call repaired_rules,$(c),$(t)))))
$(foreach c,$(CHAPTERS),$(foreach t,$(basename $(notdir $(wildcard $(c)/test_*.c))),\
  $(foreach d,$(basename $(notdir $(wildcard $(c)/decoys/*.c))),$(eval $(call decoy_rules,$(c),$(t),$(d))))\
  $(foreach u,$(basename $(notdir $(wildcard $(c)/broken/*.c))),$(eval $(call only_rules,$(c),$(t),$(u))))))

# What a chapter needs beside that.
-include $(CHAPTERS:%=%/chapter.mk)
