"""python -m qwen3.tune: the command line."""

import argparse
import json
import signal
import sys

from ..settings import read_settings
from . import __doc__ as description
from .candidates import PRESENT, candidates
from .engines import measure
from .report import Result, report
from .traffic import measure_one


def main() -> None:
    options = parse()
    settings = read_settings()
    # A stop must end the engines too.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    if options.one is not None:
        measure_one(settings, json.loads(options.one), options.seconds)
        return
    chosen = [each for each in candidates(settings) if not options.candidates or each.name in options.candidates]
    if unknown := set(options.candidates) - {each.name for each in chosen}:
        names = ", ".join(each.name for each in candidates(settings))
        sys.exit(f"--candidates has {', '.join(sorted(unknown))}; allowed: {names}")
    results: list[Result] = []
    for candidate in [PRESENT, *chosen, PRESENT]:
        print(f"{candidate.name} …", file=sys.stderr, flush=True)
        result = Result(candidate, *measure(settings, candidate, options.seconds))
        results.append(result)
        # Printed now, in case the run is stopped early.
        print(f"  {result.problem or json.dumps(result.rounded())}", file=sys.stderr, flush=True)
    print(report(results))


def stop(*_: object) -> None:
    sys.exit("stopped")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "qwen3-tune", description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10, help="seconds per kind of traffic and round (default: 10)")
    parser.add_argument("--candidates", type=lambda text: text.split(","), default=[], help="names of those to measure")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
