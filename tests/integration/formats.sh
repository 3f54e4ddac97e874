#!/bin/bash
# formats.sh - files of numpy's, gensim's and other writers' making are read, and what is written they read back.
set -u
python=${RH_PYTHON:-/usr/bin/python3}

if [ -n "$RH_SAN" ]; then
    echo 'a plain Python cannot load a library that was built with a sanitizer'
    exit 77
fi
if ! "$python" -c 'import numpy' 2>/dev/null; then
    echo "$python has no numpy (Debian: python3-numpy)"
    exit 77
fi
RH_SERVERS=local: exec "$python" tests/integration/formats.py "$RH_BUILD/lib/librowhouse.so" "$TMPDIR"
