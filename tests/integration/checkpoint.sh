#!/bin/bash
# checkpoint.sh - a second reader, in Python and from CHECKPOINT.md alone, reads what the first one made; and what
# `rowhouse ckpt` says of damage.
set -u
python=${RH_PYTHON:-/usr/bin/python3}
golden=tests/golden/ckpt-v1

cp -r "$golden/bsp-3" "$TMPDIR/bad" || exit 1
printf 'x' | dd of="$TMPDIR/bad/shard-00001-of-00003.rhs" bs=1 seek=1000 conv=notrunc 2>/dev/null
said=$("$RH_BIN/rowhouse" ckpt verify "$TMPDIR/bad" 2>&1)
code=$?
if [ $code != 1 ] || [[ $said != *"$TMPDIR/bad/shard-00001-of-00003.rhs is damaged"* ]]; then
    echo "a damaged file: exit $code, $said"
    exit 1
fi
rm "$TMPDIR/bad/shard-00001-of-00003.rhs"
said=$("$RH_BIN/rowhouse" ckpt inspect "$TMPDIR/bad" 2>&1) && { echo "a missing file: $said"; exit 1; }
[[ $said == *"cannot open $TMPDIR/bad/shard-00001-of-00003.rhs: No such file"* ]] || { echo "a missing file: $said"; exit 1; }
"$RH_BIN/rowhouse" ckpt list "$golden" --json | grep -q '"generation": 1' || { echo 'list --json'; exit 1; }

if ! "$python" -c 'import numpy' 2>/dev/null; then
    echo "$python has no numpy (Debian: python3-numpy)"
    exit 77
fi
mkdir "$TMPDIR/made" && exec "$python" -B tests/checkpoint/check.py "$RH_BIN/rowhouse" "$golden" "$TMPDIR/made"
