#!/bin/bash
# failpoints.sh - tests/README.md lists the failpoints that the sources have, each place has a name of its own, and those
# with a star are those that can fail.
set -eu

named() { grep -rhoE "$1"'\("[a-z.]+"\)' common ps worker | grep -oE '"[a-z.]+"' | tr -d '"' | sort; }
listed() { sed -n '/^## Failpoints/,/^## /p' tests/README.md | grep '^|' | grep -oE "\`[a-z.]+\`$1" | tr -d '`*' | sort; }

twice=$(named '(FAILPOINT|FAILPOINT_STATUS|fails)' | uniq -d)
[ -z "$twice" ] || { echo "a name for two places: $twice"; exit 1; }
diff <(named '(FAILPOINT|FAILPOINT_STATUS|fails)') <(listed '') || { echo 'the sources have <, tests/README.md has >'; exit 1; }
diff <(named '(FAILPOINT_STATUS|fails)') <(listed '\*') || { echo 'those that can fail: sources <, tests/README.md >'; exit 1; }
