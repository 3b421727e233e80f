# The workshop (tests/tools/workshop.py): what a learner calls, in this tree and in a pack.

WORKSHOP := python3 tests/tools/workshop.py

.PHONY: start check-mine serve-mine watch hint reveal reset progress grade workshop-help
start:
	@$(DEPS) check
	@$(WORKSHOP) start $(SELECT)

check-mine:
	@$(DEPS) check $(if $(filter tsan,$(TOOL)),clang,$(if $(filter memcheck helgrind drd,$(TOOL)),valgrind))
	@$(WORKSHOP) check $(SELECT) $(if $(TOOL),--tool $(TOOL))

serve-mine:
	@$(DEPS) check
	@$(WORKSHOP) serve $(SELECT)

watch:
	@$(DEPS) check
	@$(WORKSHOP) watch $(SELECT)

hint reset progress:
	@$(WORKSHOP) $@ $(SELECT)

reveal:
	@$(WORKSHOP) reveal $(SELECT) $(if $(YES),--yes)

grade:
	@$(DEPS) check
	@$(WORKSHOP) grade $(SELECT) $(if $(NAME),--name "$$NAME")

workshop-help:
	@echo 'make start CH=01     a workshop: the broken units, copied for you to repair; and then'
	@echo 'make watch CH=01     checks whenever you save; hints, progress; or, by hand:'
	@echo 'make check-mine CH=01 CASE=sse-disconnect    is it repaired? TOOL=tsan, asan, memcheck, helgrind, drd'
	@echo '                     asks that tool as well; make serve-mine CH=01: a server over your units'
	@echo 'make hint CASE=…, reset CASE=…, progress    one hint more; from the start; how far you are'
	$(if $(PACK),,@echo 'make reveal CASE=…     the repair, with its reasons')
	@echo 'make grade CH=01 NAME=…     verdicts, hints, time and written answers, as a page and as JSON'
