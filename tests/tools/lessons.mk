# How the variants of a chapter are linked (docs/architecture.md, "The lessons").
#
# build/F/chNN-x/test_T.broken     chapter NN's broken units, and those of all later chapters
# build/F/chNN-x/test_T.fixed      the later chapters' broken units
# build/F/chNN-x/test_T.decoy-D    the same, and decoys/D.c
# build/F/chNN-x/test_T.only-U     only broken/U.c, and the later chapters' units
# build/F/chNN-x/test_T.repair-N   the later chapters' units, and repairs/N.patch applied to its broken one
# build/F/chNN-x/test_T.S1         the broken units of the chapters behind the first: the state S1
# build/F/tests/common/test_T.S1   the same, of a test of common; test_T.S3 of the last of three is test_T
# build/F/tests/common/test_T.only-chNN-x-U   only chNN-x/broken/U.c
# build/F/tests/common/in_one.S1, in_one.only-chNN-x-U   what most of these are, by the name (in_one.c)
# build/F/chNN-x/test_T.mine-U     the later chapters' units, and what a learner has made of broken/U.c: exercise/U.c
# build/F/chNN-x/work/test_T.U     exercise/U.c alone, under a test of common: does it still do its work?
# build/F/chNN-x/server.mine, server.mine-U
# build/F/chNN-x/server.broken, server.fixed
# build/F/chNN-x/server.only-U     only broken/U.c, and the later chapters' units
#
# The objects stand before the library, so its members of the same symbols stay out.

TOOLS    := $(dir $(lastword $(MAKEFILE_LIST)))
CHAPTERS := $(sort $(patsubst %/,%,$(dir $(wildcard ch[0-9][0-9]-*/cases.ini))))

# The chapters of races. TSan would find theirs in the tests of the chapters in front of them, where
# two requests are served at a time, and be right: there it does without them.
RACY := $(if $(filter tsan,$(FLAVOUR)),$(patsubst %/cases.ini,%,$(shell grep -l '^race =' $(CHAPTERS:%=%/cases.ini) /dev/null)))

# The broken objects of a chapter, and of all that come after it.
units_of    = $(patsubst %.c,$(B)/%.o,$(wildcard $(1)/broken/*.c))
units_after = $(foreach c,$(filter-out $(RACY),$(CHAPTERS)),$(if $(filter $(1),$(firstword $(sort $(1) $(c)))),$(if $(filter-out $(1),$(c)),$(call units_of,$(c)))))

# Which units and tests there are: when one is taken away, nothing is newer, and what had it is old.
UNITS_LIST := $(B)/units
.PHONY: look
look:
$(UNITS_LIST): look
	@mkdir -p $(@D)
	@new=$@.$$$$; echo '$(sort $(wildcard $(CHAPTERS:%=%/broken/*.c))) $(IN_ONE)' >$$new; \
	if cmp -s $$new $@; then rm $$new; else mv $$new $@; fi

# The state Sk has the broken units of the chapters from k + 1 on.
STATES    = $(patsubst %,S%,0 $(foreach c,$(CHAPTERS),$(call number,$(c))))
number    = $(patsubst 0%,%,$(patsubst ch%,%,$(firstword $(subst -, ,$(1)))))
units_in  = $(foreach c,$(CHAPTERS),$(if $(filter $(1),$(call before,$(c))),$(call units_of,$(c))))
# S0 and so on to the state in which the chapter is still broken.
before    = S0 $(foreach c,$(CHAPTERS),$(if $(filter $(1),$(firstword $(sort $(1) $(c)))),,S$(call number,$(c))))
# A test of common, and all that is linked of it over broken units: for what it alone needs.
on_each_state = $(B)/tests/common/$(1) $(patsubst %,$(B)/tests/common/$(1).%,$(STATES) $(ALONE))
ALONE    := $(foreach u,$(wildcard $(CHAPTERS:%=%/broken/*.c)),only-$(subst /broken/,-,$(u:.c=)))

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
	@$(CC) $(LDFLAGS) -o $@ $(linked) $(LIBS) $(TEST_LIBS)
endef

# A learner waits for some of these links, others are hundreds; gold takes a third of the time. And it
# takes of tests/lib what a program asks for, as of an archive: forty libraries come with libcurl, and
# who does not use it has not to load them, nor Valgrind to read them.
GOLD    := $(if $(shell command -v ld.gold),-fuse-ld=gold)
linked   = $(filter-out $(TESTLIB_OBJS),$(filter %.o,$^)) $(if $(GOLD),$(asked_for),$(testlib)) $(filter %.a,$^)
testlib  = $(filter $(TESTLIB_OBJS),$^)
asked_for = $(if $(testlib),-Wl$(comma)--start-lib $(testlib) -Wl$(comma)--end-lib)
$(B)/tests/common/test_% $(CHAPTERS:%=$(B)/%/test_%) $(CHAPTERS:%=$(B)/%/work/test_%) $(B)/tests/common/in_one.%: \
  LDFLAGS += $(GOLD)

# The tests of common over other units: of a hundred links of the same objects one is left. Those that
# have objects or flags of their own are linked by themselves.
BY_ITSELF := test_fuzz_corpus test_keys test_otlp_curl test_signals test_torture
IN_ONE    := $(filter-out $(BY_ITSELF),$(sort $(basename $(notdir $(wildcard tests/common/test_*.c)))))
IN_ONE_OBJS := $(B)/tests/in_one/main.o $(IN_ONE:%=$(B)/tests/in_one/%.o)

$(B)/tests/in_one/main.o: $(TOOLS)in_one.c $(UNITS_LIST)
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(CPPFLAGS) $(CFLAGS) '-DTESTS=$(patsubst %,X(%),$(IN_ONE))' -c $< -o $@
$(B)/tests/in_one/%.o: $(B)/tests/common/%.o
	@mkdir -p $(@D)
	@objcopy --redefine-sym main=main_of_$* $< $@

# $(1): the variant's name, $(2): its units; each with a % if it is one for each unit of a chapter
define over_units_rules
$(B)/tests/common/in_one.$(1): $(IN_ONE_OBJS) $(2) $(TESTLIB_OBJS) $(LIB) $(UNITS_LIST)
	$$(link)
$(foreach t,$(BY_ITSELF),$(eval $(call by_itself_rules,$(t),$(1),$(2))))
endef

define by_itself_rules
$(B)/tests/common/$(1).$(2): $(B)/tests/common/$(1).o $(3) $(TESTLIB_OBJS) $(LIB) $(UNITS_LIST)
	$$(link)
endef

# Name by name: test_% would take test_keys too, for make prefers the shortest of what a % stands for.
define by_name_rules
$(IN_ONE:%=$(B)/tests/common/%.$(1)): $(B)/tests/common/in_one.$(1)
	@ln -sf $$(<F) $$@
endef

define state_of_chapter_rules
$(B)/$(1)/test_%.$(2): $(B)/$(1)/test_%.o $(call units_in,$(2)) $(TESTLIB_OBJS) $(LIB) $(UNITS_LIST)
	$$(link)
endef

define chapter_rules
$(B)/$(1)/%.o: CPPFLAGS += $(CPPFLAGS_tests)
$(B)/$(1)/%.o: CFLAGS += $(WHOLE_STACKS)
$(B)/$(1)/broken/%.o $(B)/$(1)/decoys/%.o $(B)/$(1)/exercise/%.o: CFLAGS += $(TO_THE_LINE)
$(B)/$(1)/test_%.broken: $(B)/$(1)/test_%.o $(call units_of,$(1)) $(call units_after,$(1)) $(TESTLIB_OBJS) $(LIB) $(UNITS_LIST)
	$$(link)
$(B)/$(1)/test_%.fixed: $(B)/$(1)/test_%.o $(call units_after,$(1)) $(TESTLIB_OBJS) $(LIB) $(UNITS_LIST)
	$$(link)
$(B)/$(1)/server.broken: $(B)/$(1)/server.o $(call units_of,$(1)) $(call units_after,$(1)) $(LIB) $(UNITS_LIST)
	$$(link)
$(B)/$(1)/server.only-%: $(B)/$(1)/server.o $(B)/$(1)/broken/%.o $(call units_after,$(1)) $(LIB) $(UNITS_LIST)
	$$(link)
$(B)/$(1)/server.fixed: $(B)/$(1)/server.o $(call units_after,$(1)) $(LIB) $(UNITS_LIST)
	$$(link)
$(B)/$(1)/server.mine: $(B)/$(1)/server.o $(call mine_of,$(1)) $(call units_after,$(1)) $(LIB)
	$$(link)
$(B)/$(1)/server.mine-%: $(B)/$(1)/server.o $(B)/$(1)/exercise/%.o $(call units_after,$(1)) $(LIB)
	$$(link)
endef

define mine_rules
$(B)/$(1)/$(2).mine-%: $(B)/$(1)/$(2).o $(B)/$(1)/exercise/%.o $(call units_after,$(1)) $(TESTLIB_OBJS) $(LIB)
	$$(link)
endef

define work_rules
$(B)/$(1)/work/$(2).%: $(B)/tests/common/$(2).o $(B)/$(1)/exercise/%.o $(TESTLIB_OBJS) $(LIB)
	$$(link)
endef

define decoy_rules
$(B)/$(1)/$(2).decoy-$(3): $(B)/$(1)/$(2).o $(B)/$(1)/decoys/$(3).o $(call units_after,$(1)) $(TESTLIB_OBJS) $(LIB) $(UNITS_LIST)
	$$(link)
endef

define only_rules
$(B)/$(1)/$(2).only-$(3): $(B)/$(1)/$(2).o $(B)/$(1)/broken/$(3).o $(call units_after,$(1)) $(TESTLIB_OBJS) $(LIB) $(UNITS_LIST)
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
$(B)/$(1)/$(2).repair-%: $(B)/$(1)/$(2).o $(B)/$(1)/repairs/%.o $(call units_after,$(1)) $(TESTLIB_OBJS) $(LIB) $(UNITS_LIST)
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

$(foreach s,$(STATES),$(eval $(call over_units_rules,$(s),$(call units_in,$(s))))\
  $(foreach c,$(CHAPTERS),$(eval $(call state_of_chapter_rules,$(c),$(s)))))
$(foreach c,$(CHAPTERS),$(eval $(call over_units_rules,only-$(c)-%,$(B)/$(c)/broken/%.o)))
$(foreach v,$(STATES) $(ALONE),$(eval $(call by_name_rules,$(v))))

# What a chapter needs beside that.
-include $(CHAPTERS:%=%/chapter.mk)
