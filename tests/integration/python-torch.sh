#!/bin/bash
# python-torch.sh - rowhouse.torch: modules, emb.weight, parameters; in forks, under rowhouse run, installed by pip.
set -u
# shellcheck source=tests/integration/need-python.sh
. "${0%/*}/need-python.sh" numpy torch
export OMP_NUM_THREADS=1
exec "$python" -B tests/python/run_torch.py "$@"
