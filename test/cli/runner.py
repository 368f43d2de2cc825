"""Runs commands of the stock command line for test/cli, each in a fork of one process that has imported the client.

A new process per command would take three times as long, most of it for imports.

Reads one request per line from stdin and writes one answer per line to stdout, both as JSON. The first line that it
writes is the tree of commands. A fork begins as `prefect` begins: with a new settings context, arguments, folder and
environment. It ends as a process ends: its threads have ended, and the handlers at exit have run.
"""

import atexit
import gc
import json
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
import urllib.request
from pathlib import Path

import prefect.client.orchestration
import prefect.context
import prefect.deployments
import prefect.events.clients
import prefect.flows
import prefect.runner
import prefect.workers.process
from prefect.cli._app import _app, app

POLL_SECONDS = 0.02
# A program that does not end by Ctrl-C is killed after this time.
PATIENCE_SECONDS = 60


def commands(command, path=()):
    """The path of each command that can be run, below a command. Of several names it gives the first."""
    below = {}
    for name in command:
        if not name.startswith("-"):
            below.setdefault(id(command[name]), []).append(name)
    if path and (command.default_command is not None or not below):
        yield path
    for name, *_ in below.values():
        yield from commands(command[name], (*path, name))


def become_command(request, stdout, stderr):
    """Turns this fork into the process of the command."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stdin = tempfile.TemporaryFile()
    stdin.write(request["stdin"].encode())
    stdin.seek(0)
    for source, target in ((stdin, 0), (stdout, 1), (stderr, 2)):
        os.dup2(source.fileno(), target)
    sys.stdin = os.fdopen(0)
    os.chdir(request["folder"])
    os.environ.update(request["settings"])
    sys.argv = [str(Path(sys.executable).with_name("prefect")), *request["arguments"]]
    sys.path[0] = str(Path(sys.executable).parent)
    prefect.context.refresh_global_settings_context()
    os._exit(end_with(app))


def end_with(program):
    """Runs a program, and gives its exit code as the interpreter does. Only the memory is not taken apart, which is slow."""
    try:
        program()
        code = 0
    except SystemExit as exit_:
        code = exit_.code or 0
        if not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException as error:
        traceback.print_exc()
        code = 130 if isinstance(error, KeyboardInterrupt) else 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def text_of(file):
    return os.pread(file.fileno(), 10_000_000, 0).decode(errors="replace")


def send(reaction):
    body = json.dumps(reaction["body"]).encode()
    headers = {"content-type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(reaction["url"], body, headers, method=reaction["method"])).close()


def wait_for(pid, request, stdout, stderr):
    """The exit code of the fork. Once the output has the text that the request waits for, presses Ctrl-C or sends `reaction`."""
    pressed_at = None
    began = time.monotonic()
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        now = time.monotonic()
        if pressed_at is None:
            seen = request["until"] and request["until"] in text_of(stdout) + text_of(stderr)
            if seen and request["reaction"]:
                send(request["reaction"])
                request["until"] = ""
            elif seen or now - began > request["seconds"]:
                pressed_at = now
                os.killpg(pid, signal.SIGINT)
        elif now - pressed_at > PATIENCE_SECONDS:
            os.killpg(pid, signal.SIGKILL)
        time.sleep(POLL_SECONDS)


def main():
    answers = os.fdopen(os.dup(1), "w")
    print(json.dumps([" ".join(path) for path in commands(_app)]), file=answers, flush=True)
    gc.freeze()
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        stdout, stderr = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        pid = os.fork()
        if pid == 0:
            become_command(request, stdout, stderr)
        code = wait_for(pid, request, stdout, stderr)
        answer = {"code": code, "stdout": text_of(stdout), "stderr": text_of(stderr)}
        print(json.dumps(answer), file=answers, flush=True)


main()
