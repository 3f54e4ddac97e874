#!/usr/bin/python3
"""run_torch.py [CLASS.TEST...] - the tests of rowhouse.torch: every torch_*.py here, but torch_parity.py only
by name, because it is long."""
import os
import sys

sys.dont_write_bytecode = True
here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, "../support"), os.path.join(here, "../../worker/python")]

import check  # noqa: E402
import torch_checkpoint  # noqa: E402
import torch_jobs  # noqa: E402
import torch_modules  # noqa: E402
import torch_parameter  # noqa: E402
import torch_parity  # noqa: E402
import torch_weight  # noqa: E402

if __name__ == "__main__":
    modules = [torch_checkpoint, torch_modules, torch_weight, torch_parameter, torch_jobs]
    check.main(*modules, *([torch_parity] if sys.argv[1:] else []))
