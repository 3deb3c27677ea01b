"""What returning memory to the kernel costs: ``python benchmarks/allocator.py [--rounds N] [--json FILE]``.

The same training step of a base-16 U-Net in two processes that take turns, on one thread: one with glibc's default
thresholds, one after ``pixelwise.runtime.keep_freed_memory()``. Page faults are counted by the kernel.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

STEPS = 3
CONTENDERS = ("default", "kept")


def serve(contender: str, side: int) -> None:
    """Run ``STEPS`` steps for each line that comes in; answer with their cost per step."""
    import torch
    import torch.nn.functional as F

    from pixelwise import catalogue
    from pixelwise.runtime import keep_freed_memory

    torch.set_num_threads(1)
    if contender == "kept" and not keep_freed_memory():
        raise SystemExit("this C library has no mallopt")
    torch.manual_seed(0)
    network = catalogue.spec("unet16").build(1, 2).to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's stub
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, fused=True)
    images = torch.randn(8, 1, side, side)
    targets = torch.randint(0, 2, (8, side, side))

    def step() -> None:
        optimiser.zero_grad()
        F.cross_entropy(network(images), targets).backward()
        optimiser.step()

    step()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(STEPS):
            step()
        cost = {
            "cpu_ms": 1e3 * (time.process_time() - cpu) / STEPS,
            "wall_ms": 1e3 * (time.perf_counter() - wall) / STEPS,
            "page_faults": (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults) / STEPS,
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        sys.stdout.write(json.dumps(cost) + "\n")
        sys.stdout.flush()


def compare(side: int, rounds: int) -> dict[str, dict[str, float]]:
    """Let the two take turns; return the medians of every cost."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    processes = {}
    for contender in CONTENDERS:
        command = [sys.executable, __file__, "--serve", contender, "--side", str(side)]
        processes[contender] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
    found: dict[str, list[dict[str, float]]] = {contender: [] for contender in CONTENDERS}
    for number in range(rounds + 1):
        for contender, process in processes.items():
            assert process.stdin is not None
            assert process.stdout is not None
            if number:
                process.stdin.write("go\n")
                process.stdin.flush()
            line = process.stdout.readline()
            if number:
                found[contender].append(json.loads(line))
    for process in processes.values():
        process.communicate()
    return {
        contender: {key: statistics.median(cost[key] for cost in costs) for key in costs[0]}
        for contender, costs in found.items()
    }


def main() -> None:
    """Print costs per step and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", type=int, default=128, help="of the pictures, in pixels")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.side)
        return
    results = compare(arguments.side, arguments.rounds)
    print(f"{'per step':12} {'default':>12} {'kept':>12} {'ratio':>8}")
    for name, default in results["default"].items():
        kept = results["kept"][name]
        print(f"{name:12} {default:12,.0f} {kept:12,.0f} {default / max(kept, 1):8.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
