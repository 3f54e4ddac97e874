#!/bin/bash
# readme.sh - the README's programs run as they stand there: the C one installed, built and started by the lines below
# it, and the Python one.
set -eu
# shellcheck source=tests/integration/need-python.sh
. "${0%/*}/need-python.sh" numpy
unset RH_LIBRARY # beside the module is a build
root=$PWD build=${RH_BUILD#"$PWD"/}

# block LANGUAGE: the first block of that language.
block() { awk -v fence="\`\`\`$1" '$0 == fence { on = 1; next } /^```/ && on { exit } on' README.md; }

block c >"$TMPDIR/hello.c"
block python >"$TMPDIR/hello.py"
for program in hello.c hello.py; do
    [ -s "$TMPDIR/$program" ] || { echo "README.md has no $program"; exit 1; }
done

# The lines from `make install` to the next empty one.
awk '/^    make install/ { on = 1 } on && !/^    / { exit } on' README.md >"$TMPDIR/lines"
[ "$(grep -c . "$TMPDIR/lines")" -ge 3 ] || { echo 'the lines of make install are missing from README.md'; exit 1; }

# As somebody would type them, at home and beside hello.c, with nothing of ours on any path.
make() { command make -C "$root" BUILD="$build" "$@"; }
export -f make
export root build HOME=$TMPDIR
(
    cd "$TMPDIR"
    unset PKG_CONFIG_PATH LD_LIBRARY_PATH
    PATH=/usr/bin:/bin bash -eu lines >said 2>&1 # no sbin: a root who came by su has none
) || { cat "$TMPDIR/said"; echo "README.md: the lines of make install failed"; exit 1; }

PYTHONPATH=worker/python "$python" -B "$TMPDIR/hello.py"
