# Rowhouse. `make` builds everything into build/ and installs nothing; `make help` lists the rest.
#
# Sources are found by folder, so a new file needs no line here. Objects lie under build/obj as their sources lie in
# the tree. Settings that matter to a user: PREFIX, LIBDIR, DESTDIR, CC, CFLAGS, V=1 to see the commands.

BUILD   := build
PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
LIBDIR  ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DOCDIR  ?= $(PREFIX)/share/doc/rowhouse
CFLAGS  ?= -O2 -g
PKG_CONFIG ?= pkg-config
LD      ?= ld
OBJCOPY ?= objcopy
SETUP   ?= scripts/setup.sh

VERSION := $(shell sed -n 's/^.define RH_VERSION "\(.*\)"/\1/p' worker/rowhouse.h)
SOVERSION := $(firstword $(subst ., ,$(VERSION)))

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# ---- what the build stands on --------------------------------------------------------------------------------

# pkg-config module : Debian package. MPI is asked for by the plug-in alone.
MODULES := libzmq liblz4 libxxhash jansson inih
NEEDS   := libzmq:libzmq3-dev liblz4:liblz4-dev libxxhash:libxxhash-dev jansson:libjansson-dev inih:libinih-dev \
           ompi-c:libopenmpi-dev

# These goals compile nothing themselves: they work on a machine that has nothing yet.
BARE := help setup clean uninstall format lint test demo asan ubsan tsan fuzz
GOALS := $(filter-out $(BARE),$(or $(MAKECMDGOALS),all))

ifneq ($(GOALS),)
ifneq ($(filter objects test-% bench% sim sim-long ckpt-long kill-long chaos soak mutants,$(GOALS)),)
NEEDS += check:check
endif
MISSING := $(shell command -v $(firstword $(CC)) >/dev/null || echo build-essential; \
    command -v $(PKG_CONFIG) >/dev/null || { echo pkg-config; exit; }; \
    for need in $(NEEDS); do $(PKG_CONFIG) --exists $${need%:*} || echo $$need | cut -d: -f2; done)
ifneq ($(strip $(MISSING)),)
$(error the build needs these packages, which are not here: $(strip $(MISSING)). `make setup` installs them)
endif
MODULE_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(MODULES))
MODULE_LIBS   := $(shell $(PKG_CONFIG) --libs $(MODULES))
CHECK_CFLAGS  := $(shell $(PKG_CONFIG) --cflags check 2>/dev/null)
CHECK_LIBS    := $(shell $(PKG_CONFIG) --libs check 2>/dev/null)
MPI_CFLAGS    := $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags ompi-c))
MPI_LIBS      := $(shell $(PKG_CONFIG) --libs ompi-c)
endif

# ---- flags ---------------------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
WERROR   ?=
HARDEN   := -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
# -ffp-contract=off: the same bits on machines with and without fused multiply-add.
RH_CFLAGS := -std=c11 -D_GNU_SOURCE -I. $(WARNINGS) $(WERROR) -fPIC -fvisibility=hidden -ffp-contract=off -pthread
RH_LDFLAGS := -pthread -Wl,--as-needed -Wl,-z,relro,-z,now
SHARED_LDFLAGS := -shared -Wl,-z,defs

# Loops over rows and floats: worth more than -O2.
HOT := common/kern.c common/floattext.c common/idset.c common/numtype.c common/rng.c ps/fold.c ps/index_%.c ps/init.c \
       ps/opt_%.c ps/store.c tests/bench/plain.c
# -fno-math-errno: or sqrtf is a call that no vector can make.
HOT_CFLAGS := -O3 -fno-math-errno

# One sanitizer per build directory; see the goals asan, ubsan, tsan and fuzz. No fortify: it hides what they look for.
# No warnings: the plain build has given them, and instrumented code misleads gcc into false ones.
SAN ?=
SAN_address   := -fsanitize=address,undefined
SAN_undefined := -fsanitize=undefined
SAN_thread    := -fsanitize=thread
SAN_fuzzer    := -fsanitize=fuzzer-no-link,address,undefined
ifneq ($(SAN),)
SAN_FLAGS := $(or $(SAN_$(SAN)),$(error SAN=$(SAN): address, undefined, thread or fuzzer))
CFLAGS := -O1 -g
WARNINGS :=
HARDEN := -fno-sanitize-recover=all -fno-omit-frame-pointer $(SAN_FLAGS)
RH_LDFLAGS += $(SAN_FLAGS)
HOT_CFLAGS :=
# clang leaves the runtime of a sanitizer undefined in shared objects: the program brings it.
SHARED_LDFLAGS := -shared
endif

COMPILE_FLAGS := $(HARDEN) $(CFLAGS) $(RH_CFLAGS) $(CPPFLAGS) $(MODULE_CFLAGS)
LIBS := $(MODULE_LIBS) -ldl -lm

# ---- sources, by folder --------------------------------------------------------------------------------------

OBJ := $(BUILD)/obj
objects = $(patsubst %.c,$(OBJ)/%.o,$(wildcard $(1)))

MPI_PLUGIN    := proto/roster_mpi.c
SERVER_OWN    := ps/main.c ps/server%.c ps/journal%.c ps/supervise%.c ps/ckpt_tool%.c
COMMON_OBJS   := $(call objects,common/*.c)
PROTO_OBJS    := $(filter-out $(OBJ)/$(MPI_PLUGIN:.c=.o),$(call objects,proto/*.c))
PS_OBJS       := $(call objects,ps/*.c)
SHARD_OBJS    := $(filter-out $(SERVER_OWN:%.c=$(OBJ)/%.o),$(PS_OBJS))
LIB_OBJS      := $(COMMON_OBJS) $(PROTO_OBJS) $(SHARD_OBJS) $(call objects,worker/*.c)
SERVER_OBJS   := $(COMMON_OBJS) $(PROTO_OBJS) $(PS_OBJS)
COMMAND_OBJS  := $(LIB_OBJS) $(call objects,worker/cmd/*.c)
WORD2VEC_OBJS := $(call objects,worker/examples/word2vec*.c)
SOAK_MAIN     := tests/chaos/soak.c
# What tests may link: all of it, and what they share; each program takes the members that it uses.
INNER_OBJS    := $(sort $(SERVER_OBJS) $(COMMAND_OBJS) $(WORD2VEC_OBJS) $(call objects,tests/support/*.c) \
                 $(filter-out $(OBJ)/$(SOAK_MAIN:.c=.o),$(call objects,tests/chaos/*.c)))

UNIT_OBJS     := $(call objects,tests/unit/*.c)
INTEGRATION   := $(call objects,tests/integration/test_*.c)
FUZZ_MAINS    := $(call objects,tests/fuzz/fuzz_*.c)
# The decoders are in common, proto and the shard: the rest need not be built for libFuzzer.
FUZZ_OBJS     := $(sort $(COMMON_OBJS) $(PROTO_OBJS) $(SHARD_OBJS) $(call objects,tests/support/*.c))
BENCH_OBJS    := $(call objects,tests/bench/*.c)
SIM_OBJS      := $(call objects,tests/sim/*.c)
ALL_OBJS      := $(INNER_OBJS) $(call objects,$(SOAK_MAIN)) $(call objects,$(MPI_PLUGIN)) $(UNIT_OBJS) $(INTEGRATION) $(FUZZ_MAINS) $(BENCH_OBJS) $(SIM_OBJS)

# ---- outputs -------------------------------------------------------------------------------------------------

BIN := $(BUILD)/bin
LIB := $(BUILD)/lib
SO  := librowhouse.so
PROGRAMS  := $(BIN)/rowhouse $(BIN)/rowhouse-server $(BIN)/rowhouse-word2vec
LIBRARIES := $(LIB)/librowhouse.a $(LIB)/$(SO).$(VERSION) $(LIB)/$(SO).$(SOVERSION) $(LIB)/$(SO)
PLUGIN    := $(LIB)/rowhouse/rowhouse-mpi.so
UNIT      := $(BUILD)/tests/unit
CHECKS    := $(INTEGRATION:$(OBJ)/tests/integration/%.o=$(BUILD)/tests/%)
FUZZERS   := $(FUZZ_MAINS:$(OBJ)/tests/fuzz/%.o=$(BUILD)/tests/%)
SOAK      := $(BUILD)/tests/soak
BENCH     := $(BUILD)/tests/bench
SIM       := $(BUILD)/tests/sim
SCRIPTS   := $(sort $(filter-out %/run.sh %/lib.sh %/need-python.sh,$(wildcard tests/integration/*.sh)))

Q := $(if $(V),,@)
say = @printf '  %-5s %s\n' $(1) '$(@:$(BUILD)/%=%)'
parallel = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))
again = $(MAKE) --no-print-directory $(parallel)

# Files that hold the flags and the names of the sources: written only when these change, so that what was built from
# others is built anew, and nothing else is.
keep = $(if $(subst [$(2)],,[$(file <$(1))]),$(file >$(1),$(2)))
ifneq ($(GOALS),)
$(shell mkdir -p $(OBJ))
$(call keep,$(OBJ)/flags,$(strip $(CC) $(COMPILE_FLAGS) $(HOT_CFLAGS) $(RH_LDFLAGS) $(LDFLAGS)))
$(call keep,$(OBJ)/sources,$(strip $(INNER_OBJS)))
$(call keep,$(OBJ)/exports,{ global: rh_*; local: *; };)
endif

## all: the programs, the library and the MPI plug-in (default)
.PHONY: all
all: $(PROGRAMS) $(LIBRARIES) $(PLUGIN)

$(OBJ)/%.o: %.c $(OBJ)/flags
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMPILE_FLAGS) $(EXTRA_CFLAGS) $(if $(filter $(HOT),$<),$(HOT_CFLAGS)) -MMD -MP -c -o $@ $<

$(OBJ)/tests/%.o: EXTRA_CFLAGS = $(CHECK_CFLAGS)
$(OBJ)/$(MPI_PLUGIN:.c=.o): EXTRA_CFLAGS = $(MPI_CFLAGS)

-include $(ALL_OBJS:.o=.d)

link = $(Q)mkdir -p $(@D) && $(CC) $(CFLAGS) $(RH_LDFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^)

$(BIN)/rowhouse-server: $(SERVER_OBJS) $(OBJ)/sources
	$(call say,LINK)
	$(link) -pie $(LIBS)

$(BIN)/rowhouse: $(COMMAND_OBJS) $(OBJ)/sources
	$(call say,LINK)
	$(link) -pie $(LIBS)

# As a user's program would: the public header and the library; common/ besides, for its flags and float loops.
$(BIN)/rowhouse-word2vec: $(WORD2VEC_OBJS) $(LIB)/librowhouse.a $(COMMON_OBJS)
	$(call say,LINK)
	$(link) -pie $(LIBS)

# Inside the static library, too, rh_* is all that a program can collide with. By name, as -fvisibility=hidden is not
# enough: gcc gives functions with target_clones default visibility, and their resolvers a section group of that name,
# which must be dissolved or the linker takes a program's own function of that name for the same one.
$(LIB)/librowhouse.a: $(LIB_OBJS) $(OBJ)/sources
	$(call say,AR)
	@mkdir -p $(@D)
	$(Q)$(LD) -r --force-group-allocation -o $(OBJ)/librowhouse.o $(LIB_OBJS)
	$(Q)$(OBJCOPY) --wildcard --keep-global-symbol='rh_*' $(OBJ)/librowhouse.o
	$(Q)rm -f $@ && $(AR) rcs $@ $(OBJ)/librowhouse.o

$(LIB)/$(SO).$(VERSION): $(LIB_OBJS) $(OBJ)/sources $(OBJ)/exports
	$(call say,LINK)
	$(link) $(SHARED_LDFLAGS) -Wl,-soname,$(SO).$(SOVERSION) \
	    -Wl,--version-script=$(OBJ)/exports $(LIBS)

$(LIB)/$(SO).$(SOVERSION): $(LIB)/$(SO).$(VERSION)
	@ln -sf $(<F) $@

$(LIB)/$(SO): $(LIB)/$(SO).$(SOVERSION)
	@ln -sf $(<F) $@

# The only thing that is linked with MPI.
$(PLUGIN): $(call objects,$(MPI_PLUGIN))
	$(call say,LINK)
	$(link) $(SHARED_LDFLAGS) $(MPI_LIBS)

$(OBJ)/inner.a: $(INNER_OBJS) $(OBJ)/sources
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) qcs $@ $(INNER_OBJS)

$(UNIT): $(UNIT_OBJS) $(OBJ)/inner.a
	$(call say,LINK)
	$(link) -pie $(CHECK_LIBS) $(LIBS)

$(CHECKS): $(BUILD)/tests/%: $(OBJ)/tests/integration/%.o $(OBJ)/inner.a
	$(call say,LINK)
	$(link) -pie $(CHECK_LIBS) $(LIBS)

$(SOAK): $(call objects,$(SOAK_MAIN)) $(OBJ)/inner.a
	$(call say,LINK)
	$(link) -pie $(CHECK_LIBS) $(LIBS)
# Every allocation of our own objects goes through tests/support/no_memory.c there.
NO_MEMORY := malloc calloc realloc aligned_alloc strdup free mmap munmap
$(BUILD)/tests/test_no_memory: LDFLAGS += $(NO_MEMORY:%=-Wl,--wrap=%)

$(BENCH): $(BENCH_OBJS) $(OBJ)/inner.a
	$(call say,LINK)
	$(link) -pie $(LIBS)

$(SIM): $(SIM_OBJS) $(OBJ)/inner.a
	$(call say,LINK)
	$(link) -pie $(LIBS)

$(OBJ)/fuzz.a: $(FUZZ_OBJS) $(OBJ)/sources
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) qcs $@ $(FUZZ_OBJS)

$(FUZZERS): $(BUILD)/tests/%: $(OBJ)/tests/fuzz/%.o $(OBJ)/fuzz.a
	$(call say,LINK)
	$(link) -pie -fsanitize=fuzzer $(LIBS)

# Every source once, nothing linked: what `make lint` compiles with each compiler.
.PHONY: objects
objects: $(ALL_OBJS)

## setup: install the Debian packages that the build, the tests and the demo need
.PHONY: setup
setup:
	@scripts/setup.sh build test demo

# ---- the demo ------------------------------------------------------------------------------------------------

DEMO    := $(BUILD)/demo
WORDNET := $(DEMO)/wordnet.txt
CORPUS  := $(WORDNET)
EPOCHS  := 5
WORDS   := dog violin king paris red seven swim
W2V_FLAGS := -dim 64 -ws 5 -neg 5 -minCount 5 -t 1e-3 -lr 0.05

## demo: word vectors of real text on 2 servers and 2 workers [CORPUS=file.txt] [EPOCHS=5]
.PHONY: demo demo-run
demo:
ifneq ($(CORPUS),$(WORDNET))
	@test -f '$(CORPUS)' -a -r '$(CORPUS)' || \
	    { echo 'make demo: CORPUS=$(CORPUS): no such file, or it cannot be read' >&2; exit 1; }
endif
	@$(SETUP) demo
	@+$(again) demo-run

demo-run: all $(filter $(WORDNET),$(CORPUS))
	@mkdir -p $(DEMO)
	$(BIN)/rowhouse run -s 2 -w 2 -- $(BIN)/rowhouse-word2vec -input '$(CORPUS)' -output $(DEMO)/vectors \
	    -epoch $(EPOCHS) $(W2V_FLAGS)
	$(BIN)/rowhouse nearest $(DEMO)/vectors.vec $(WORDS)

$(WORDNET): scripts/wordnet-text.sh
	@scripts/wordnet-text.sh $@

## quality: word similarity of the demo's vectors over three seeds, PAIRS="file file"
.PHONY: quality
quality: $(PROGRAMS) $(PLUGIN) $(WORDNET)
	@BUILD=$(BUILD) W2V_FLAGS='$(W2V_FLAGS) -epoch $(EPOCHS)' tests/quality.sh $(WORDNET) $(PAIRS)

# ---- tests ---------------------------------------------------------------------------------------------------

run_tests = @BUILD=$(BUILD) SAN=$(SAN) tests/integration/run.sh

fuzzers = @+! $(can_fuzz) || $(again) $(FUZZED) fuzzers

## test: set up, build, and run every test
.PHONY: test test-programs test-unit test-integration
test:
	@$(SETUP) test
	@+$(again) all test-programs
	$(fuzzers)
	$(run_tests) $(UNIT) $(CHECKS) $(SCRIPTS)

test-programs: $(UNIT) $(CHECKS) $(SIM)

## test-unit: the unit tests alone
test-unit: $(UNIT)
	$(run_tests) $(UNIT)

## test-integration: whole programs and real processes alone
test-integration: all $(CHECKS) $(SIM)
	$(fuzzers)
	$(run_tests) $(CHECKS) $(SCRIPTS)

## parity-long: thousands of random tables against torch [PARITY_CASES=5000] [PARITY_SEED=N]
.PHONY: parity-long
PARITY_CASES := 5000
parity-long: all
	@RH_BIN=$(BIN) RH_LIBRARY=$(LIB)/$(SO) $(or $(RH_PYTHON),/usr/bin/python3) -B tests/parity/run.py \
	    --cases $(PARITY_CASES) $(if $(PARITY_SEED),--seed $(PARITY_SEED))

## ckpt-long: checkpoints of 1 to 8 shards, restored on 1 to 8 [CKPT_ROUNDS=1] [CKPT_SEED=N]
.PHONY: ckpt-long
CKPT_ROUNDS := 1
ckpt-long: $(UNIT)
	$(Q)for round in $$(seq $(CKPT_ROUNDS)); do RH_CKPT_LONG=1 $(if $(CKPT_SEED),RH_TEST_SEED=$(CKPT_SEED)) \
	    CK_RUN_SUITE=ckpt_shard $(UNIT) || exit 1; done

## sim: one seed of the simulator, with every frame, SEED=n
## sim-long: seeds of the simulator for SECONDS=3600 [SIM_SEED=first]
.PHONY: sim sim-long
SECONDS := 3600
sim: $(SIM)
	@test -n '$(SEED)' || { echo 'make sim: which one? SEED=n' >&2; exit 1; }
	@$(SIM) $(SEED) -v
sim-long: $(SIM)
	@$(SIM) -n 0 -t $(SECONDS) -f $(or $(SIM_SEED),$$(date +%s)000000)

## kill-long: servers killed while they save, life after life of one job [KILLS=1000] [KILL_SEED=N]
.PHONY: kill-long
KILLS := 1000
kill-long: all $(BUILD)/tests/test_kill_save
	@BUILD=$(BUILD) SAN=$(SAN) RH_TEST_LIMIT=86400 RH_TEST_KILLS=$(KILLS) \
	    $(if $(KILL_SEED),RH_TEST_SEED=$(KILL_SEED)) tests/integration/run.sh $(BUILD)/tests/test_kill_save

## chaos: one fault after the other strikes a job of real processes [SECONDS=600] [SEED=N] [KIND=text]
.PHONY: chaos
chaos: SECONDS := 600
chaos: all $(BUILD)/tests/test_chaos
	@BUILD=$(BUILD) SAN=$(SAN) RH_TEST_LIMIT=1000000 RH_TEST_SECONDS=$(SECONDS) \
	    $(if $(SEED),RH_TEST_SEED=$(SEED)) $(if $(KIND),RH_TEST_KIND='$(KIND)') \
	    tests/integration/run.sh $(BUILD)/tests/test_chaos; grep -h '^|' $(BUILD)/tests/log/test_chaos.txt

## soak: a job under load, saved and struck all the while [SECONDS=3600] [FAULT_EVERY=30] [SAVE_EVERY=60] [SEED=N]
.PHONY: soak
soak: SECONDS := 3600
soak: all $(SOAK)
	@BUILD=$(BUILD) SAN=$(SAN) RH_TEST_LIMIT=1000000 RH_TEST_SECONDS=$(SECONDS) RH_TEST_FAULT_EVERY=$(FAULT_EVERY) \
	    RH_TEST_SAVE_EVERY=$(SAVE_EVERY) $(if $(SEED),RH_TEST_SEED=$(SEED)) \
	    tests/integration/run.sh $(SOAK); grep -h '^|' $(BUILD)/tests/log/soak.txt

## mutants: known mistakes, each put into a copy of the tree, and the test that catches it [MUTANTS="no-dedupe ..."]
.PHONY: mutants
mutants: all test-programs
	@BUILD=$(BUILD) tests/mutants/run.sh $(MUTANTS)

# Programs and tests of a sanitizer's build directory, then all the tests.
define sanitized
@+$(again) BUILD=build/$(1) SAN=$(2) all test-programs
@BUILD=build/$(1) SAN=$(2) tests/integration/run.sh $(patsubst $(BUILD)/%,build/$(1)/%,$(UNIT) $(CHECKS)) $(SCRIPTS)
endef

## asan: all tests under AddressSanitizer and UndefinedBehaviorSanitizer
## ubsan: all tests under UndefinedBehaviorSanitizer alone, with the fast kernels
## tsan: all tests under ThreadSanitizer
.PHONY: asan ubsan tsan
asan:
	$(call sanitized,asan,address)
ubsan:
	$(call sanitized,ubsan,undefined)
tsan:
	$(call sanitized,tsan,thread)

## fuzz: libFuzzer on every decoder, FUZZ_SECONDS=10 each
.PHONY: fuzz fuzz-run fuzzers
FUZZ_SECONDS := 10
FUZZED := BUILD=$(BUILD)/fuzz SAN=fuzzer CC=clang
fuzz:
	@command -v clang >/dev/null || { echo 'fuzz: clang is missing; scripts/setup.sh lint' >&2; exit 1; }
	@+$(again) $(FUZZED) fuzz-run

fuzz-run: fuzzers
	@tests/fuzz/run.sh $(FUZZ_SECONDS) $(FUZZERS)

fuzzers: $(FUZZERS)

# Whether clang is here, with libFuzzer and the sanitizers: it can build an empty one.
can_fuzz = { mkdir -p $(BUILD)/fuzz && echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' | \
    clang -fsanitize=fuzzer,address,undefined -x c -o $(BUILD)/fuzz/empty - 2>/dev/null; }

## bench: rows per second, pulled and pushed, per transport: medians of five
## bench-quick: the same on smaller tables, in under two minutes
.PHONY: bench bench-quick
bench: all $(BENCH)
	@RH_BIN=$(BIN) $(BENCH)
	$(bench_python)
bench-quick: all $(BENCH)
	@RH_BIN=$(BIN) $(BENCH) --quick
	$(bench_python) 15

bench_python = @echo; ! command -v $(or $(RH_PYTHON),/usr/bin/python3) >/dev/null || \
    RH_LIBRARY=$(LIB)/$(SO) $(or $(RH_PYTHON),/usr/bin/python3) -B tests/bench/python.py

## lint: format, warnings as errors with gcc and clang, shellcheck, floors and doors, types of Python, exported symbols
## format: rewrite the C files as clang-format has them
.PHONY: lint format
lint:
	@scripts/lint.sh
format:
	@clang-format -i $$(find common proto ps worker tests -name '*.[ch]')

# ---- installing ----------------------------------------------------------------------------------------------

define PC
prefix=$(PREFIX)
libdir=$(LIBDIR)
includedir=$(INCLUDEDIR)

Name: rowhouse
Description: Embedding tables sharded over servers that apply sparse optimizer updates
Version: $(VERSION)
Libs: -L$${libdir} -lrowhouse
Libs.private: $(LIBS) -pthread
Cflags: -I$${includedir}
endef

# Where the library looks for the plug-in, and where the programs do: one place, unless LIBDIR was set apart.
PLUGINDIRS := $(sort $(LIBDIR)/rowhouse $(patsubst %/,%,$(dir $(BINDIR)))/lib/rowhouse)

## install: into PREFIX (/usr/local), beneath DESTDIR; also BINDIR, LIBDIR, INCLUDEDIR
.PHONY: install uninstall
install: all
	install -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(LIBDIR)/pkgconfig' '$(DESTDIR)$(INCLUDEDIR)' '$(DESTDIR)$(DOCDIR)'
	install -m 755 $(PROGRAMS) '$(DESTDIR)$(BINDIR)'
	install -m 644 $(LIB)/librowhouse.a $(LIB)/$(SO).$(VERSION) '$(DESTDIR)$(LIBDIR)'
	ln -sf $(SO).$(VERSION) '$(DESTDIR)$(LIBDIR)/$(SO).$(SOVERSION)'
	ln -sf $(SO).$(SOVERSION) '$(DESTDIR)$(LIBDIR)/$(SO)'
	for dir in $(PLUGINDIRS); do install -D -m 644 -t '$(DESTDIR)'"$$dir" $(PLUGIN) || exit 1; done
	install -m 644 worker/rowhouse.h '$(DESTDIR)$(INCLUDEDIR)'
	install -m 644 LICENSE '$(DESTDIR)$(DOCDIR)'
	$(file >$(OBJ)/rowhouse.pc,$(PC))
	install -m 644 $(OBJ)/rowhouse.pc '$(DESTDIR)$(LIBDIR)/pkgconfig'
	@if [ -z '$(DESTDIR)' ] && [ "$$(id -u)" = 0 ]; then PATH="$$PATH:/usr/sbin:/sbin" ldconfig; fi

## uninstall: take away what install put there (same variables)
uninstall:
	rm -f $(foreach p,$(PROGRAMS),'$(DESTDIR)$(BINDIR)/$(notdir $p)') \
	    $(foreach l,$(LIBRARIES),'$(DESTDIR)$(LIBDIR)/$(notdir $l)') '$(DESTDIR)$(INCLUDEDIR)/rowhouse.h' \
	    '$(DESTDIR)$(LIBDIR)/pkgconfig/rowhouse.pc' '$(DESTDIR)$(DOCDIR)/LICENSE' \
	    $(foreach d,$(PLUGINDIRS),'$(DESTDIR)$d/$(notdir $(PLUGIN))')
	-@rmdir $(foreach d,$(DOCDIR) $(PLUGINDIRS),'$(DESTDIR)$d') 2>/dev/null || true

## clean: remove build/ and all that is in it
.PHONY: clean
clean:
	rm -rf $(BUILD)

## help: this list
.PHONY: help
help:
	@sed -n 's/^## \([a-z-]*\): \(.*\)/\1\t\2/p' Makefile | while IFS=$$(printf '\t') read -r goal text; do \
	    printf '  %-17s %s\n' "$$goal" "$$text"; done
