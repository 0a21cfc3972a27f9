"""Measures depickle and its peers in turn, and prints tables in Markdown. bench/run builds everything and runs this."""
import argparse
import collections
import datetime
import importlib.metadata
import statistics
import subprocess
import sys

import cases
import data
import hub
import machine
import memory
import python_cases
from sides import PROGRAM

CASES = cases.CASES | python_cases.CASES
GROUPS = cases.GROUPS | python_cases.GROUPS


def arguments():
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        choices=[*CASES, *GROUPS, "memory"],
        metavar="NAME",
        help="one case; repeat it for more: %(choices)s",
    )
    parser.add_argument("--rounds", type=int, default=9, help="use at least 9 for published tables (%(default)s)")
    parser.add_argument(
        "--max-wait",
        type=float,
        default=20,
        metavar="SECONDS",
        help="how long a round waits for a quiet machine (%(default)s)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a quick test: tiny files, 2 rounds; the figures mean nothing"
    )
    parser.add_argument("--clean", action="store_true", help="delete the generated checkpoints, and do nothing else")
    return parser.parse_args()


class Results:
    """The milliseconds of each side of each case, in the order of the rounds."""

    def __init__(self):
        self.ms = collections.defaultdict(list)
        self.foreign = []

    def of(self, case, name, touched=""):
        return self.ms[case.name, name, touched]

    def ratios(self, case, goal):
        ours = self.of(case, goal.ours, goal.touched)
        if goal.kind == "below":
            return ours
        peer = self.of(case, goal.peer, goal.touched)
        return [b / a if goal.kind == "faster" else a / b for a, b in zip(ours, peer)]


def sample(case, side, max_wait_seconds, results):
    """Runs one side once. Only the sample itself is timed."""
    side.prepare()
    machine.wait_until_quiet(max_wait_seconds)
    machine.prewarm(case.prewarm_bytes)
    for path in case.sources:
        machine.make_resident(path)
    clock = machine.Clock().start()
    results.of(case, side.name, side.touched).append(side.sample() * 1000)
    results.foreign.append(clock.foreign_share())
    return side.result()


def run_round(case, number, max_wait_seconds, results):
    turn = number % len(case.sides)
    sums = {}
    for side in case.sides[turn:] + case.sides[:turn]:
        sums[side] = sample(case, side, max_wait_seconds / len(case.sides), results)
    if len({total for total in sums.values() if total is not None}) > 1:
        totals = {side.name: total for side, total in sums.items()}
        raise SystemExit(f"error: {case.name}: not all sides saw the same bytes: {totals}")


def print_row(*cells):
    print(f"| {' | '.join(cells)} |")


def text_ms(ms):
    return f"{ms:.3f}" if ms < 10 else f"{ms:.1f}" if ms < 100 else f"{ms:,.0f}"


def text_mib(mib):
    return "" if mib is None else f"{mib:,.1f}"


def print_times(all_cases, results, peaks):
    print("| case | side | data | median ms | min | max | peak MiB |\n|---|---|---|--:|--:|--:|--:|")
    for case in all_cases:
        for side in case.sides:
            ms = results.of(case, side.name, side.touched)
            touched = side.touched or ("" if side.output or not case.check else "untouched")
            times = map(text_ms, (statistics.median(ms), min(ms), max(ms)))
            print_row(case.title, side.name, touched, *times, text_mib(peaks[case.name, side]))


def verdict(met, quick):
    return "not checked" if quick else "met" if met else "MISSED"


def print_goals(all_cases, results, quick):
    print("\n| case | ratio in one round | median | min | max | goal | |\n|---|---|--:|--:|--:|--:|---|")
    for case in all_cases:
        for goal in case.goals:
            ratios = results.ratios(case, goal)
            median = statistics.median(ratios)
            met = median >= goal.bound if goal.kind == "faster" else median <= goal.bound
            measure = {
                "faster": f"{goal.peer} / {goal.ours}",
                "within": f"{goal.ours} / {goal.peer}",
                "below": f"{goal.ours}, ms",
            }[goal.kind]
            measure += f", {goal.touched}" if goal.touched else ""
            figures = (f"{ratio:.2f}" for ratio in (median, min(ratios), max(ratios)))
            bound = f"{'≥' if goal.kind == 'faster' else '≤'} {goal.bound}"
            print_row(case.title, measure, *figures, bound, verdict(met, quick))


def print_memory(rows, quick):
    print("\n| convert, all of its processes | peak of RssAnon, MiB | peak of RSS, with mapped files | goal | |")
    print("|---|--:|--:|--:|---|")
    for what, anonymous_mib, resident_mib in rows:
        met = 0 < anonymous_mib <= memory.LIMIT_MIB
        figures = f"{anonymous_mib:.1f}", f"{resident_mib:,.1f}"
        print_row(what, *figures, f"≤ {memory.LIMIT_MIB}", verdict(met, quick))


def print_hub_memory(rows, quick):
    print("\n| Hub | peak of RssAnon, MiB | peak of VmHWM, with program, libraries and mapped files | goal | |")
    print("|---|--:|--:|--:|---|")
    for what, is_ours, anonymous_mib, resident_mib in rows:
        met = 0 < resident_mib <= hub.LIMIT_MIB
        goal = (f"≤ {hub.LIMIT_MIB}", verdict(met, quick)) if is_ours else ("", "")
        print_row(what, f"{anonymous_mib:.1f}", f"{resident_mib:.1f}", *goal)


def print_environment(options):
    version = subprocess.run([PROGRAM, "version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
    openssl = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True).stdout.split()[1]
    names = ("torch", "safetensors", "numpy", "huggingface_hub")
    peers = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    print(f"{datetime.date.today()}: bench/run {' '.join(sys.argv[1:])}".rstrip())
    print(f"\n{version}; {peers}, OpenSSL {openssl}, Python {sys.version.split()[0]}\n{machine.description()}")
    print(
        f"{options.rounds} rounds; each side once per round; warm page cache; sources read again before each sample\n"
    )


def main():
    options = arguments()
    if options.clean:
        return data.clean()
    if options.quick:
        options.rounds, options.max_wait = 2, 0
    wanted = [name for word in options.only or [*CASES, "memory"] for name in GROUPS.get(word, [word])]
    timed = {name: CASES[name] for name in CASES if name in wanted}
    needed = {file for _, files in timed.values() for file in files} | (
        set(memory.CASES) if "memory" in wanted else set()
    )
    files = data.prepare(sorted(needed), options.quick)
    print_environment(options)

    all_cases = [make(files, options.quick) for make, _ in timed.values()]
    peaks, results = {}, Results()
    for case in all_cases:
        if case.check:
            case.check()
        peaks |= {(case.name, side): side.peak_mib() for side in case.sides}
    for number in range(options.rounds):
        for case in all_cases:
            print(f"round {number + 1} of {options.rounds}: {case.name}", file=sys.stderr)
            run_round(case, number, options.max_wait, results)
    if all_cases:
        print_times(all_cases, results, peaks)
        print_goals(all_cases, results, options.quick)
        median, most = statistics.median(results.foreign), max(results.foreign)
        print(f"\nOther processes used {median:.0%} of the processors during the samples (median; at most {most:.0%}).")
    if hub_cases := [case for case in all_cases if case.name in GROUPS["hub"]]:
        print_hub_memory([row for case in hub_cases for row in hub.memory_rows(case)], options.quick)
    if "memory" in wanted:
        print_memory(memory.rows(files), options.quick)


if __name__ == "__main__":
    main()
