#!/bin/bash
# python.sh - rowhouse from Python: the module against the header, and over local: and tcp:// against real servers.
set -u
# shellcheck source=tests/integration/need-python.sh
. "${0%/*}/need-python.sh" numpy torch
exec "$python" -B tests/python/run.py
