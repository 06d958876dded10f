"""``omrig ab``: two configurations measured in rounds on one broker, and compared."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from omrig import cli
from omrig.cli import configurations, experiments, streams
from omrig.cli.main import execute
from omrig.cli.options import Parser
from omrig.compare import gates
from omrig.experiment import decisions, journal, sequential, trials, until
from omrig.experiment.figures import Figures, exact
from omrig.experiment.journal import Journal
from omrig.experiment.sequential import Decision
from omrig.experiment.trials import Configuration, Trials
from omrig.model.errors import RunError, UsageError

DEFAULT_ROUNDS = 10

_ALL = "undecided after as many rounds as there may be"

ABOUT = """\
Measure two configurations in rounds, each once a round in random order, on one broker and compare
them: the way to measure on a machine that is not quiet. A and B are options of omrig run.

  omrig ab -n 10 -- -m 2000 --executor eventlet -- -m 2000 --executor threading
  omrig ab --until decided --margin 3% -- -m 2000 -- -m 2000 --set rpc_conn_pool_size=60
  omrig ab --duet --until decided -- --duration 4 -- --duration 4 --with ../oslo.messaging
  omrig ab --gate 'p99<=+5%' -- --config-file old.conf -- --config-file new.conf
  omrig ab --resume omrig-runs/20261126T101500.000000Z-ab

Of each round the runs are in a/NN and b/NN of its folder, and experiment.json has what was asked
and what is decided: different by so much, the same within the margin, or not decided yet.
doc/experiments.rst explains what it may claim and what that costs in rounds.
"""


def add_options(parser: Parser) -> None:
    """Add what stands before the first ``--``."""
    experiments.add_rule(parser, DEFAULT_ROUNDS)
    parser.add_argument(
        "--duet",
        action="store_true",
        help="run both at once on one core, which is as fast for the one as for the other: for a"
        " machine whose speed changes from second to second; both need the same --duration",
    )
    experiments.add_folder(parser, "ab")
    parser.add_argument("--gate", action="append", default=[], metavar="GATE", help="as in compare")
    parser.add_argument("--json", nargs="?", const="", metavar="FILE", help="as in compare")
    parser.add_argument("--html", metavar="FILE", help="as in compare")
    parser.add_argument("--junit", metavar="FILE", help="as in compare")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("-d", "--debug", action="store_true", help="tracebacks of errors")


def run(options: argparse.Namespace) -> int:
    """Measure and compare both configurations; the exit status of the comparison."""
    both, about = _resumed(options) if options.resume else _begun(options)
    for option in ("json", "html", "junit"):
        experiments.check_file(f"--{option}", getattr(options, option))
    interrupted = False
    if not about.complete or experiments.asks_for_more(options):
        interrupted = _measure(both, about, options)
    folder = about.path.parent
    if not about.together(*decisions.NAMES):
        if interrupted:
            raise KeyboardInterrupt("interrupted before there was a round to compare")
        raise RunError(f"nothing was measured: {about.reason}")
    names = [str(folder / name) for name in decisions.NAMES]
    try:
        status = execute("compare", [*names, *_passed(options, about)])
    except (UsageError, streams.OutputError) as error:
        raise RunError(
            f"the runs are over, they are in {folder}; {error};"
            f" omrig compare {' '.join(names)} compares them again"
        ) from error
    return cli.INTERRUPTED if interrupted else status


def _begun(options: argparse.Namespace) -> tuple[list[Configuration], Journal]:
    """The configurations of an experiment that begins, and what is known of it."""
    given = configurations.split(options.rest)
    if len(given) != len(decisions.NAMES):
        usage = cli.COMMANDS["ab"].usage
        raise UsageError(f"ab: two configurations are needed; use {usage}")
    both = [
        configurations.configuration(name, arguments)
        for name, arguments in zip(decisions.NAMES, given, strict=True)
    ]
    for text in options.gate:
        gates.parse(text)
    if options.duet:
        from omrig.cli import duet

        duet.check([each.plan for each in both])
    rule = experiments.rule(options, both, DEFAULT_ROUNDS, options.gate, options.duet)
    folder = Path(options.output or experiments.default_output("ab"))
    about = journal.new(folder, "ab", rule)
    about.note(both)
    return both, about


def _resumed(options: argparse.Namespace) -> tuple[list[Configuration], Journal]:
    """The configurations of an experiment that goes on, and what is known of it."""
    if options.duet:
        raise UsageError("--duet: with --resume an experiment goes on as it began; leave it out")
    about = experiments.resumed(options, "ab")
    assert about.rule
    if options.gate and about.rule.until == "decided":
        raise UsageError(
            "--gate: with --resume an experiment goes on as it began; leave it out, and give it to"
            " omrig compare"
        )
    is_over = about.complete and not experiments.asks_for_more(options)
    return [] if is_over else experiments.again(about, options.rest), about


def _measure(both: list[Configuration], about: Journal, options: argparse.Namespace) -> bool:
    """Measure as the rule says; whether it was interrupted."""
    tools = experiments.tools(options, both)
    folder = about.path.parent
    try:
        plans = [each.plan for each in both]
        with trials.opened(folder, plans, tools, about=about) as opened:
            about.reason = _go_on(opened, both, about) or about.reason
    except KeyboardInterrupt:
        return True
    except RunError as error:
        raise RunError(f"{error}; omrig ab --resume {folder} goes on") from error
    return False


def _go_on(opened: Trials, both: list[Configuration], about: Journal) -> str | None:
    """Measure rounds as the rule says, and note what they decide; why they ended before that."""
    rule = about.rule
    assert rule
    wanted = [gates.parse(text) for text in rule.gates]
    # Rounds after which nobody looks would decide nothing.
    most = max((look for look in rule.looks if look <= rule.rounds), default=rule.rounds)

    def judge(base: Sequence[Figures], new: Sequence[Figures]) -> Decision | None:
        found = _decision(about, base, new)
        about.decision = found
        if rule.until == "rounds" or found is None:
            return None
        if wanted:
            counted = exact(run for name in decisions.NAMES for run in opened.runs(name))
            ruled = [sequential.hold(gate, base, new, rule.looks, counted) for gate in wanted]
            return None if "undecided" in ruled else found
        return found if found.word != "undecided" else None

    found = until.decided(
        opened,
        both[0],
        both[1],
        judge_it=judge,
        most_rounds=most,
        until_s=experiments.ends_at_s(about),
    )
    if found is None and opened.rounds(*decisions.NAMES) < most:
        return f"--max-minutes {rule.max_minutes:g}: there was no time for another round"
    return _ALL if found is None and rule.until == "decided" else None


def _decision(about: Journal, base: Sequence[Figures], new: Sequence[Figures]) -> Decision | None:
    """What the rounds so far decide; None where nothing is asked, or there are none."""
    rule = about.rule
    if not base or rule is None or rule.margin is None:
        return None
    if rule.until == "decided":
        return sequential.judge(base, new, rule.metrics, rule.margin, rule.looks)
    return sequential.equivalence(base, new, rule.metrics, rule.margin)


def _passed(options: argparse.Namespace, about: Journal) -> list[str]:
    """The arguments of the comparison."""
    wanted = options.gate or (about.rule.gates if about.rule else ())
    passed = [f"--gate={gate}" for gate in wanted]
    if options.json is not None:
        passed.append(f"--json={options.json}" if options.json else "--json")
    passed += [f"--html={options.html}"] if options.html else []
    return passed + ([f"--junit={options.junit}"] if options.junit else [])
