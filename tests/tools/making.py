"""One make at a time in a directory of objects.

Two makes that find the same object old both write it, and one of them links what the other has half
written. So whoever builds takes the lock of the flavour: this, and `build` of server.sh. Who waited
for it finds all done.
"""

import contextlib
import fcntl
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def lock(flavour, root=ROOT):
    (root / "build").mkdir(exist_ok=True)
    with open(root / f"build/.lock-{flavour}", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def command(flavour, *targets):
    return ["make", "--no-print-directory", f"-j{os.cpu_count()}", f"FLAVOUR={flavour}", *targets]


def make(flavour, *targets, root=ROOT):
    """(whether it builds, what was said)"""
    with lock(flavour, root):
        p = subprocess.run(command(flavour, *targets), cwd=root, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return p.returncode == 0, p.stdout
