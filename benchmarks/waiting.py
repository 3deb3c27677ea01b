"""How OpenMP's threads should wait: training steps under several policies, with and without other work on the machine.

    python benchmarks/waiting.py [--rounds 3] [--compete]

Each policy is a fresh process, because OpenMP reads it once; the policies take turns. ``--compete`` keeps every core
busy with a loop beside them. Wall time per step, median over rounds.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

from pixelwise.runtime import SPIN_COUNT

POLICIES = {
    "one thread": {"OMP_NUM_THREADS": "1"},
    "OpenMP's default": {},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    f"GOMP_SPINCOUNT={SPIN_COUNT}": {"GOMP_SPINCOUNT": SPIN_COUNT},
}
CASES = (("lenet5_relu", 16, 1, 28, 20), ("pml_cnn", 16, 1, 28, 20), ("resnet20_cifar", 32, 3, 32, 4))


def serve() -> None:
    """Print milliseconds per step of each case."""
    import torch
    from torch.nn.functional import cross_entropy

    import pixelwise as pw

    for name, batch, channels, side, steps in CASES:
        network = pw.create(name, in_channels=channels, num_classes=10)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's stub
        optimiser = torch.optim.SGD(network.parameters(), lr=0.01, fused=True)
        x = torch.randn(batch, channels, side, side).contiguous(memory_format=torch.channels_last)
        y = torch.randint(0, 10, (batch,))
        times = []
        for _ in range(4):
            start = time.perf_counter()
            for _ in range(steps):
                optimiser.zero_grad()
                cross_entropy(network(x), y).backward()
                optimiser.step()
            times.append((time.perf_counter() - start) / steps * 1e3)
        print(statistics.median(times[1:]))


def measure(rounds: int) -> None:
    """Run the policies in turn and print medians."""
    bare = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
    times: dict[str, list[list[float]]] = {policy: [] for policy in POLICIES}
    for _ in range(rounds):
        for policy, settings in POLICIES.items():
            command = [sys.executable, __file__, "--serve"]
            done = subprocess.run(command, env=bare | settings, capture_output=True, text=True, check=True)
            times[policy].append([float(line) for line in done.stdout.split()])
    print(f"{'milliseconds per step':<26}" + "".join(f"{f'{case[0]} x{case[1]}':>20}" for case in CASES))
    for policy, measured in times.items():
        medians = [statistics.median(column) for column in zip(*measured, strict=True)]
        print(f"{policy:<26}" + "".join(f"{median:>20.2f}" for median in medians))


def main() -> None:
    """Measure, with company if that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compete", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve()
        return
    busy = [sys.executable, "-c", "while True: pass"]
    competitors = [subprocess.Popen(busy) for _ in range(os.cpu_count() or 1)] if given.compete else []
    try:
        measure(given.rounds)
    finally:
        for competitor in competitors:
            competitor.kill()
            competitor.wait()


if __name__ == "__main__":
    main()
