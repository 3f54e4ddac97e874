"""check.py - runs unittest cases, and ends with the line that tests/integration/run.sh counts by."""
import os
import subprocess
import sys
import unittest

PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../worker/python")


def main(*modules):
    """Runs the tests of these modules, or those named on the command line (Class.test_name)."""
    loader = unittest.TestLoader()
    suite = unittest.TestSuite()
    for module in modules:
        names = [n for n in sys.argv[1:] if hasattr(module, n.split(".")[0])]
        suite.addTests(loader.loadTestsFromNames(names, module) if names or sys.argv[1:]
                       else loader.loadTestsFromModule(module))
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=1).run(suite)
    tally(result.testsRun, len(result.failures), len(result.errors))
    sys.exit(0 if result.wasSuccessful() and result.testsRun > 0 else 1)


def tally(checks, failures, errors=0):
    percent = 100 * (checks - failures - errors) // checks if checks else 0
    print(f"{percent}%: Checks: {checks}, Failures: {failures}, Errors: {errors}", flush=True)


def run_program(program, **environment):
    """A Python program of its own that has imported rowhouse: what it printed."""
    done = subprocess.run([sys.executable, "-B", "-c", "import rowhouse\n" + program], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                          env={**os.environ, "PYTHONPATH": PACKAGE, **environment})
    return done.stdout.strip()
