#!/usr/bin/python3
"""run.py [--seed N] [--cases N] [--only K] - rowhouse against torch.

Draws tables, optimizers and steps from a seed, does the same steps in torch and over local: and
tcp:// with 1, 2 or 5 shards, and compares every row. A case that fails prints the line that plays it
again alone. Without --seed: RH_TEST_SEED, else one from the time."""
import argparse
import os
import sys
import time
import traceback

sys.dont_write_bytecode = True
here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here] + [os.path.join(here, up) for up in ("../support", "../python", "../../worker/python")]

import numpy as np  # noqa: E402
import torch  # noqa: E402

import check  # noqa: E402
from draw import draw  # noqa: E402
from judges import judge_of  # noqa: E402
from ours import Jobs, Ours  # noqa: E402
from reference import Reference  # noqa: E402

RTOL, ATOL = 1e-5, 1e-6


class Differs(Exception):
    pass


def compare(when, a, b, x, y, exact=False, terms=1):
    """x of a and y of b, (n, dim), which are sums of so many terms, each with its rounding."""
    near = x.view("u4") == y.view("u4") if exact else np.isclose(x, y, RTOL, terms * ATOL, equal_nan=True)
    if near.all():
        return
    row, column = np.argwhere(~near)[0]
    raise Differs(f"{when}, row {row} column {column}: {a.name} has {x[row, column]:.9g}, {b.name} "
                  f"{y[row, column]:.9g}; {np.sum(~near)} of {near.size} numbers differ")


def compare_all(when, players, judges, look, terms=1):
    """What look says of each: of the players the same bits, of the judges much the same."""
    first, second = (look(player) for player in players)
    for judge in judges:
        compare(when, players[0], judge, first, look(judge), terms=terms)
    compare(when, *players, first, second, exact=True)


def play(case, jobs):
    """The judges that looked on."""
    transports = ("local", "tcp") if case.world == 1 else ("tcp", "tcp")
    players = [Ours(case, jobs, *where) for where in zip(transports, case.shards)]
    first = players[0].rows()
    judges = [Reference(case, first)]
    judge = judge_of(case)
    if judge is not None:
        judges.append(judge(case, first))
    compare_all("at first", players, [], lambda who: who.rows())
    for number, clock in enumerate(case.clocks):
        if clock.pool is not None:
            compare_all(f"bags at clock {number}", players, judges, lambda who: who.pooled(clock.pool),
                        terms=max(1, len(clock.pool.places)))
        for who in players + judges:
            who.clock(number, clock)
        if clock.look:
            compare_all(f"after clock {number}", players, judges, lambda who: who.rows())
    for player in players:
        player.end()
    return [judge.name for judge in judges]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("RH_TEST_SEED") or time.time()))
    parser.add_argument("--cases", type=int, default=200, help="how many [200]")
    parser.add_argument("--only", type=int, metavar="K", help="this case alone")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"seed of parity: {options.seed}", flush=True)

    jobs, failed, by_torch = Jobs(), 0, 0
    numbers = range(options.cases) if options.only is None else [options.only]
    began = time.monotonic()
    for number in numbers:
        case = draw(options.seed, number)
        if options.only is not None:
            print(case, flush=True)
        try:
            by_torch += "torch" in play(case, jobs)
        except Exception as error:
            failed += 1
            if not isinstance(error, Differs):
                traceback.print_exc(file=sys.stdout)
            print(f"FAILED case {number}: {case}: {error}. Again: tests/parity/run.py --seed "
                  f"{options.seed} --only {number}", flush=True)
            if failed == 20:
                print("20 cases have failed: that is enough")
                break
    jobs.close()
    print(f"{len(numbers)} cases, {by_torch} of them judged by torch, the others by the reference "
          f"alone, {time.monotonic() - began:.1f} s")
    check.tally(len(numbers), failed)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
