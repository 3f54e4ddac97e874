#!/bin/bash
# python-examples-run.sh - the examples in Python come to plain torch's losses under rowhouse run, too.
set -u
# shellcheck source=tests/integration/need-python.sh
. "${0%/*}/need-python.sh" numpy torch
export OMP_NUM_THREADS=1
exec "$python" -B tests/python/examples.py Launched
