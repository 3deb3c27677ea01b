"""Runs a training in forked processes, some of which are killed: ``python harness.py PLAN.json``.

A fork costs milliseconds where a fresh process pays seconds for importing torch. The plan is a list of steps, each with
``folder`` and ``data``, and one of ``kill_after_seconds``, ``kill_at_fsync`` (n-th call, before it takes effect),
``kill_at_rename``, ``signal`` with ``when`` ("start", "train", "validation", "eval") or ``file_limit_bytes``. The
output: one JSON line per step with the exit code (negative: killed by that signal), seconds, what was left in
the folder, and how many fsyncs and renames there were.
"""

import json
import logging
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

import pixelwise.evaluation
import pixelwise.training.session as session
from pixelwise.errors import Interrupted, PixelwiseError
from pixelwise.training import validation

SETTINGS = {
    "epochs": "3", "batch_size": "4", "optimiser": "adamw", "ema_decay": "0.9", "schedule": "cosine",
    "augment": "digits", "hidden": "12,8",
}  # fmt: skip
calls = {"fsync": 0, "rename": 0}


def count(name, module, attribute, kill_at):
    original = getattr(module, attribute)

    def counted(*arguments):
        calls[name] += 1
        if calls[name] == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments)

    setattr(module, attribute, counted)


def signal_soon(module, attribute, number):
    """Send ourselves a signal when this function is called."""
    original = getattr(module, attribute)

    def first(*arguments, **keywords):
        os.kill(os.getpid(), number)
        return original(*arguments, **keywords)

    setattr(module, attribute, first)


def run(step):
    if "file_limit_bytes" in step:
        resource.setrlimit(resource.RLIMIT_FSIZE, (step["file_limit_bytes"], resource.RLIM_INFINITY))
    if "signal" in step:
        module, attribute = {
            "start": (session, "read_source"), "train": (session, "fit"), "eval": (session, "evaluate_run"),
            "validation": (validation, "load_batches"),
        }[step["when"]]  # fmt: skip
        if step["when"] == "train":
            from pixelwise.training import loop

            module, attribute = loop, "set_rate"
        signal_soon(module, attribute, step["signal"])
    folder = Path(step["folder"])
    if (folder / "run.json").exists():
        session.resume(folder, workers=step.get("workers"), quiet=True)
    else:
        session.train(
            step["data"], step.get("spec", "mlp_784_300_10"), settings=SETTINGS, out=folder, quiet=True,
            should_check=False, checkpoint_steps=3, workers=step.get("workers", 0),
        )  # fmt: skip


def child(step, report):
    code = 0
    count("fsync", os, "fsync", step.get("kill_at_fsync"))
    count("rename", os, "rename", step.get("kill_at_rename"))
    count("rename", Path, "replace", step.get("kill_at_rename"))
    try:
        run(step)
    except (PixelwiseError, Interrupted) as error:
        code = error.exit_code
        calls["error"] = str(error)
    os.write(report, json.dumps(calls).encode())
    os._exit(code)


def main():
    logging.basicConfig(level=logging.ERROR)
    for step in json.loads(Path(sys.argv[1]).read_text()):
        reading, writing = os.pipe()
        began = time.perf_counter()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            child(step, writing)
        os.close(writing)
        if "kill_after_seconds" in step:
            threading.Timer(step["kill_after_seconds"], os.kill, (pid, signal.SIGKILL)).start()
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read()
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        seconds = time.perf_counter() - began
        left = {
            "checkpoints": sorted(path.name for path in Path(step["folder"]).glob("checkpoints/*")),
            "temporaries": len(list(Path(step["folder"]).rglob(".pixelwise-tmp-*"))),
        }
        line = {"code": code, "seconds": seconds, **left, **(json.loads(said) if said else {})}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    assert pixelwise.evaluation
    main()
