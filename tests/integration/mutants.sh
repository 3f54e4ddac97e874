#!/bin/bash
# mutants.sh - every known mistake of `make mutants` applies to the code as it is; that each is caught is for `make mutants`.
command -v patch >/dev/null || { echo 'there is no patch(1)'; exit 77; }
exec tests/mutants/run.sh --check
