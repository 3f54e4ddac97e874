#!/bin/bash
# parity.sh - 200 random tables, optimizers and schedules, here and in torch.
set -u
# shellcheck source=tests/integration/need-python.sh
. "${0%/*}/need-python.sh" numpy torch
exec "$python" -B tests/parity/run.py --cases 200
