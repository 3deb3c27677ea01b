"""Runs command lines of pixelwise in forked processes: ``python commands.py FILE.json``, a list of lists of arguments.

A fork costs milliseconds where a fresh process pays seconds for importing torch. The output: one JSON line per command
with its exit code and what it printed. The first command that fails ends it.
"""

import json
import os
import sys
import tempfile
import traceback
from pathlib import Path

import pixelwise.demo
import pixelwise.reporting
import pixelwise.training.session  # noqa: F401 - what every command would import for itself
from pixelwise.cli.main import main


def run(arguments):
    with tempfile.TemporaryFile("w+") as printed:
        child = os.fork()
        if child == 0:
            os.dup2(printed.fileno(), 1)
            os.dup2(printed.fileno(), 2)
            sys.argv = ["pixelwise", *arguments]
            code = 1
            try:
                main()
                code = 0
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
            except BaseException:  # the parent is told by the exit code and by what was printed
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        printed.seek(0)
        return {"arguments": arguments, "code": os.waitstatus_to_exitcode(status), "printed": printed.read()}


for line in json.loads(Path(sys.argv[1]).read_text()):
    done = run(line)
    sys.stdout.write(json.dumps(done) + "\n")
    sys.stdout.flush()
    if done["code"]:
        break
