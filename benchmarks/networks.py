"""Each network against another library's: ``python benchmarks/networks.py [NAME ...] [--rounds N] [--json FILE]``.

The other library is torchvision, or timm where torchvision lacks the network; both are optional, and a network whose
reference does not import is skipped with the reason. ``PYTHONPATH`` may point at a folder that holds them; the compiled
operators of torchvision, which no classification network uses, need not load.

Two processes hold one network each and take turns, one round each. ``forward`` is a pass in evaluation under inference
mode; ``predict`` the same pass of the copy that a predictor makes of ours (``layers/folding.py``), beside their network
as it is; ``step`` a training step (forward, cross-entropy, backward) in training mode. All is float32,
channels_last, on one thread, with the same input. Times are processor time, which other work on the machine disturbs
least: medians over the rounds. Ratios are medians of theirs over ours in the same round (more than 1: ours is faster).

Memory is the growth of the process's resident set from before a round to its peak. For it, rounds of their own come
first, in which the C library takes every large block from the kernel and gives it back when it is freed: nothing that
an earlier round has left behind is used again. Weights, and the copies of them that prediction arranges once, are there
before the round, and do not count.
"""

import argparse
import contextlib
import ctypes
import json
import os
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODES = ("forward", "predict", "step")
WARMING_ROUNDS = 2
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
SMALL_BLOCK, LARGE_BLOCK = 2**16, 2**25
"""Of the C library: from which size on a block is the kernel's. By itself it raises that to the larger one in time."""
SIDES = ("ours", "theirs")


@dataclass(frozen=True, slots=True)
class Case:
    """One network of ours and its counterpart."""

    theirs: str
    """``torchvision:NAME`` or ``timm:NAME``."""
    side_px: int = 224
    batch: int = 4


CASES = {
    "alexnet": Case("torchvision:alexnet", batch=16),
    "vgg11": Case("torchvision:vgg11", batch=4),
    "vgg16": Case("torchvision:vgg16", batch=2),
    "vgg16_bn": Case("torchvision:vgg16_bn", batch=2),
    "googlenet": Case("torchvision:googlenet", batch=8),
    "inception_v3": Case("torchvision:inception_v3", 299),
    "inception_v4": Case("timm:inception_v4", 299, 2),
    "inception_resnet_v2": Case("timm:inception_resnet_v2", 299, 2),
    "resnet18": Case("torchvision:resnet18", batch=8),
    "resnet50": Case("torchvision:resnet50"),
    "resnetv2_50": Case("timm:resnetv2_50"),
    "wide_resnet50_2": Case("torchvision:wide_resnet50_2", batch=2),
    "densenet121": Case("torchvision:densenet121"),
    "densenet161": Case("torchvision:densenet161", batch=2),
    "convnext_tiny": Case("torchvision:convnext_tiny"),
    "convnext_small": Case("torchvision:convnext_small", batch=2),
}


def build(name: str, side: str) -> Any:
    """Return one side's network, without auxiliary heads."""
    import torch

    torch.manual_seed(0)
    if side == "ours":
        from pixelwise import catalogue

        return catalogue.create(name, in_channels=3, num_classes=1000)
    library, _, theirs = CASES[name].theirs.partition(":")
    torchvision = import_torchvision()
    if library == "timm":
        import timm  # type: ignore[import-not-found, unused-ignore] # optional, without types

        return timm.create_model(theirs)
    heads = {"aux_logits": False, "init_weights": False} if theirs in ("googlenet", "inception_v3") else {}
    return getattr(torchvision.models, theirs)(weights=None, **heads)


def import_torchvision() -> Any:
    """Import torchvision even where its compiled operators do not load: their names are declared, and never called."""
    import torch

    declared = torch.library.Library("torchvision", "FRAGMENT")
    while True:
        try:
            import torchvision  # type: ignore[import-not-found, import-untyped, unused-ignore] # optional, without types
            import torchvision.models
        except RuntimeError as error:
            missing = re.search(r"operator torchvision::(\w+) does not exist", str(error))
            if missing is None:
                raise
            declared.define(f"{missing[1]}(Tensor x) -> Tensor")
            for module in [known for known in sys.modules if known.startswith("torchvision")]:
                del sys.modules[module]
        else:
            torchvision.declared = declared  # the declarations live as long as the module
            return torchvision


def serve(name: str, side: str) -> None:
    """Run one round of the mode that each line names; answer with seconds, or with MiB where it begins with memory."""
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(1)
    libc = ctypes.CDLL("libc.so.6")
    libc.mallopt(M_MMAP_THRESHOLD, SMALL_BLOCK)
    case = CASES[name]
    with contextlib.redirect_stdout(sys.stderr):  # libraries may chat while they load
        network: Any = build(name, side).to(memory_format=torch.channels_last)
    x = torch.randn(case.batch, 3, case.side_px, case.side_px).contiguous(memory_format=torch.channels_last)
    target = torch.arange(case.batch)
    predicting = network
    if side == "ours":
        from pixelwise.layers.folding import for_prediction

        predicting = for_prediction(network)

    def forward() -> None:
        with torch.inference_mode():
            network.eval()(x)

    def predict() -> None:
        with torch.inference_mode():
            predicting.eval()(x)

    def step() -> None:
        network.zero_grad(set_to_none=True)
        F.cross_entropy(network.train()(x), target).backward()

    rounds = {"forward": forward, "predict": predict, "step": step}
    for round_ in (*rounds.values(),) * WARMING_ROUNDS:
        round_()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        what, mode = line.split()
        network.zero_grad(set_to_none=True)
        if what == "time":
            libc.mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)
            libc.mallopt(M_TRIM_THRESHOLD, 2 * LARGE_BLOCK)
        else:
            libc.malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5")  # forgets the earlier peak
        before, start = resident_mib("VmRSS"), time.process_time()
        rounds[mode]()
        answer = time.process_time() - start if what == "time" else resident_mib("VmHWM") - before
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def resident_mib(what: str) -> float:
    """Return the resident set of this process: now (VmRSS), or at its peak (VmHWM)."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def compare(name: str, rounds: int) -> dict[str, dict[str, float]] | None:
    """Let both sides take turns; return medians by mode, or None where the reference does not import."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = {}
    for side in SIDES:
        command = [sys.executable, __file__, "--serve", name, side]
        processes[side] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
    ready = {
        side: process.stdout.readline().strip() == "ready" for side, process in processes.items() if process.stdout
    }
    if not all(ready.values()):
        errors = {side: process.communicate()[1] for side, process in processes.items()}
        side = next(side for side in SIDES if not ready[side])
        sys.stdout.write(
            f"{name}: skipped, {side}: {(errors[side].strip().splitlines() or ['ended without a word'])[-1]}\n"
        )
        return None

    def ask(side: str, what: str, mode: str) -> float:
        process = processes[side]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{what} {mode}\n")
        process.stdin.flush()
        return float(process.stdout.readline())

    memory = {mode: {side: ask(side, "memory", mode) for side in SIDES} for mode in MODES}
    table = {}
    for mode in MODES:
        seconds: dict[str, list[float]] = {side: [] for side in SIDES}
        for _ in range(rounds):
            for side in SIDES:
                seconds[side].append(ask(side, "time", mode))
        ours, theirs = (1e3 * statistics.median(seconds[side]) for side in SIDES)
        ratios = [their / our for our, their in zip(*seconds.values(), strict=True)]
        table[mode] = {
            "ours_ms": ours,
            "theirs_ms": theirs,
            "time_ratio": statistics.median(ratios),
            "ours_mib": memory[mode]["ours"],
            "theirs_mib": memory[mode]["theirs"],
        }
    for process in processes.values():
        process.communicate()
    return table


def main() -> None:
    """Print one line for each network and mode."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *CASES], metavar="NAME")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", nargs=2, metavar=("NAME", "SIDE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(*arguments.serve)
        return
    tables = {}
    sys.stdout.write(f"{'network':20s} {'':8s} {'ours':>9s} {'theirs':>9s} {'ratio':>6s} {'ours':>9s} {'theirs':>9s}\n")
    for name in arguments.names or CASES:
        table = compare(name, arguments.rounds)
        if table is None:
            continue
        tables[name] = table
        for mode, row in table.items():
            sys.stdout.write(
                f"{name:20s} {mode:8s} {row['ours_ms']:6.0f} ms {row['theirs_ms']:6.0f} ms {row['time_ratio']:5.2f}x "
                f"{row['ours_mib']:5.0f} MiB {row['theirs_mib']:5.0f} MiB\n"
            )
            sys.stdout.flush()
    if arguments.json:
        arguments.json.write_text(json.dumps(tables, indent=1))


if __name__ == "__main__":
    main()
