"""Training for a given time: the number of epochs that fits, measured at the start. Imported by the benchmarks."""

import time
from collections.abc import Callable

from pixelwise.runs.folder import Run


def train_for(minutes: float, train: Callable[[str, int], Run]) -> Run:
    """Measure an epoch, then train for the time given; print how many epochs that was; return the run.

    Args:
        minutes: for the epochs; validation and test at the end come on top.
        train: from a name for the run's folder and a number of epochs to the finished run.

    """
    trial = train("trial", 2).journal
    seconds = min(event["seconds"] for event in trial if event["event"] == "epoch")
    epochs = max(2, int(60 * minutes / seconds))
    start, busy = time.perf_counter(), time.process_time()
    run = train("run", epochs)
    taken, used = (time.perf_counter() - start) / 60, (time.process_time() - busy) / 60
    print(f"{epochs} epochs of {seconds:.1f} s: {taken:.1f} minutes, {used:.1f} of processor time", flush=True)
    return run
