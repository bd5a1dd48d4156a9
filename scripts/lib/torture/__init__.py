"""What `runner` promises, tried for real: kills, silence, drips, many small bodies, many workers."""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from tools.checks import Checks

from . import kills, marks, order, passes, slow, soak, workers

FOLDER = Path(__file__).resolve().parents[3] / "bench" / "torture"
EXPERIMENTS = {
    "kills": kills,
    "passes": passes,
    "order": order,
    "marks": marks,
    "soak": soak,
    "slow": slow,
    "workers": workers,
}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/torture",
        description=__doc__,
        epilog=f"Jobs are made in {FOLDER}/EXPERIMENT, and are left there when something does not hold.",
    )
    commands = parser.add_subparsers(dest="experiment", required=True)
    for name, experiment in EXPERIMENTS.items():
        about = experiment.__doc__
        experiment.add_options(commands.add_parser(name, help=about, description=about))
    options = parser.parse_args(arguments)
    folder = FOLDER / options.experiment
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    checks = Checks()
    EXPERIMENTS[options.experiment].run(options, folder, checks)
    if not checks.failed:
        shutil.rmtree(folder)
    return checks.exit_code
