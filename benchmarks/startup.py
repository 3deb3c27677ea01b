"""CPU time until ``--help`` has answered, for the command itself and every subcommand, beside importing the libraries.

    python benchmarks/startup.py [--rounds 5]

Interleaved, medians of CPU time (user + system) of whole processes: wall time on a shared machine says little.
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

LIBRARIES = ("torch", "torchvision", "timm", "lightning", "ultralytics", "monai")


def cpu_seconds(command: list[str]) -> float:
    """CPU seconds of one process, children included."""
    before = os.times()
    subprocess.run(command, check=True, capture_output=True)
    after = os.times()
    return (after.children_user - before.children_user) + (after.children_system - before.children_system)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds

    from pixelwise.cli.main import app

    program = str(Path(sys.executable).parent / "pixelwise")
    commands = {"pixelwise --help": [program, "--help"]}
    for command in app.registered_commands:
        name = command.callback.__name__ if command.callback else ""
        commands[f"pixelwise {name} --help"] = [program, name, "--help"]
    for library in LIBRARIES:
        statement = [sys.executable, "-c", f"import {library}"]
        if subprocess.run(statement, capture_output=True, check=False).returncode == 0:
            commands[f"import {library}"] = statement
        else:
            print(f"import {library}: not installed here, left out")
    times: dict[str, list[float]] = {label: [] for label in commands}
    for _ in range(rounds):
        for label, statement in commands.items():
            times[label].append(cpu_seconds(statement))
    for label, measured in times.items():
        print(f"{label:<32} {statistics.median(measured):6.2f} s CPU (median of {rounds}, worst {max(measured):.2f})")


if __name__ == "__main__":
    main()
