"""An ordinary user for the programs of the deployment tests, and folders that this user may go into.

Where the tests run as root, nginx and supervisor are started as the user `nobody` all the same: nothing of what docs/deploy
says needs root but ports below 1024.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def program(name: str) -> str:
    """Find a program that .ci/debian makes sure of."""
    found = shutil.which(name, path=SYSTEM_PATH)
    assert found is not None, f"{name} is not there; .ci/debian (which make test runs) finds or installs it"
    return found


def ordinary_user() -> pwd.struct_passwd:
    """Return who the programs run as: the one who runs the tests, or nobody where that is root."""
    return pwd.getpwuid(os.getuid()) if os.getuid() else pwd.getpwnam("nobody")


def as_user(user: pwd.struct_passwd) -> list[str]:
    """Return what has to stand before a command for it to run as that user."""
    if user.pw_uid == os.getuid():
        return []
    return [program("setpriv"), f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]


def user_of_this_clone() -> pwd.struct_passwd:
    """Return the ordinary user; who runs the tests, where the ordinary user can't read this clone (root's home, say)."""
    user = ordinary_user()
    reach = 'test -x "$0" && exec "$0" -c "import forge_widgets.cli"'
    command = [*as_user(user), "/bin/sh", "-c", reach, sys.executable]
    tried = subprocess.run(command, check=False, capture_output=True, timeout=60, env=bare_environment(), cwd="/")
    return user if tried.returncode == 0 else pwd.getpwuid(os.getuid())


def bare_environment(**more: str) -> dict[str, str]:
    """Return an environment as a service starts with, without what measures the tests or names somebody's folders."""
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **more}


@contextmanager
def folder_of(user: pwd.struct_passwd) -> Iterator[Path]:
    """Make a folder of that user's; pytest's own are closed to all others."""
    with tempfile.TemporaryDirectory(prefix="forge-deploy-", ignore_cleanup_errors=True) as name:
        os.chown(name, user.pw_uid, user.pw_gid)
        yield Path(name)
