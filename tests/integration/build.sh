#!/bin/bash
# build.sh - what `make` promises: complete, idle the second time, clear when something is missing.
set -u
[ -z "$RH_SAN" ] || { echo "the plain build is what this looks at"; exit 77; }
build=${RH_BUILD#"$PWD"/}

fail() {
    printf '%s\n' "build: $*" >&2
    exit 1
}
says() { grep -qF -- "$1" "$TMPDIR/out" || fail "expected '$1' in: $(cat "$TMPDIR/out")"; }
run() { "$@" >"$TMPDIR/out" 2>&1; }

# A second make does nothing, and a header that changes reaches its users.
run make BUILD="$build" || fail "make: $(cat "$TMPDIR/out")"
run make BUILD="$build"
says 'Nothing to be done'
run make -n V=1 BUILD="$build" -W worker/rowhouse.h
says 'worker/examples/word2vec'

# Everything is where it belongs.
for file in bin/rowhouse bin/rowhouse-server bin/rowhouse-word2vec lib/librowhouse.a lib/rowhouse/rowhouse-mpi.so; do
    [ -f "$build/$file" ] || fail "$file was not built"
done
[ "$(readlink "$build/lib/librowhouse.so")" = librowhouse.so.0 ] || fail 'librowhouse.so leads elsewhere'
[ "$(readlink "$build/lib/librowhouse.so.0")" = librowhouse.so.0.1.0 ] || fail 'librowhouse.so.0 leads elsewhere'
run readelf -d "$build/lib/librowhouse.so"
says 'soname: [librowhouse.so.0]'

# The plug-in alone is linked with MPI.
for file in "$build"/bin/* "$build/lib/librowhouse.so"; do
    readelf -d "$file" | grep -q 'NEEDED.*libmpi' && fail "$file is linked with MPI"
done
run readelf -d "$build/lib/rowhouse/rowhouse-mpi.so"
says 'libmpi'

run make help
for goal in all demo test test-unit test-integration bench bench-quick asan ubsan tsan fuzz quality lint format parity-long ckpt-long install \
    uninstall clean setup; do
    says "  $goal "
done

# A machine without the libraries is told so, in one line, before anything is compiled.
printf '#!/bin/sh\ncase "$*" in *libzmq*) exit 1 ;; esac\n' >"$TMPDIR/pkg-config"
chmod +x "$TMPDIR/pkg-config"
run make BUILD="$TMPDIR/b" PKG_CONFIG="$TMPDIR/pkg-config" && fail 'make succeeded without ZeroMQ'
says 'libzmq3-dev'
says 'make setup'
[ "$(wc -l <"$TMPDIR/out")" = 1 ] || fail "more than one line: $(cat "$TMPDIR/out")"

run make demo CORPUS="$TMPDIR/none.txt" && fail 'a demo without its corpus succeeded'
says "$TMPDIR/none.txt: no such file"
