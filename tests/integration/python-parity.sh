#!/bin/bash
# python-parity.sh - 50 steps of models in plain torch and with rowhouse.torch, over local: and tcp://.
set -u
# shellcheck source=tests/integration/need-python.sh
. "${0%/*}/need-python.sh" numpy torch
export OMP_NUM_THREADS=1
exec "$python" -B tests/python/run_torch.py Parity ParityOverTcp
