"""libraries: the client libraries, installed once into the build directory from the pins in tests/clients."""
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from harness import ROOT

CLIENTS = ROOT / "tests" / "clients"
INSTALL_S = 600
PINNED_FOR = "x86_64", "aarch64"      # machines for which a Node is pinned


def call(argv, **options):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=INSTALL_S, **options)
    if done.returncode != 0:
        command = " ".join(map(str, argv))
        pytest.fail(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}", pytrace=False)


def installed(name, pins, install):
    """<build>/<name> as install(directory) made it from the files `pins`; made anew when one of them changed."""
    directory = Path(os.environ.get("SB_BUILD") or ROOT / "build").resolve() / name
    directory.mkdir(parents=True, exist_ok=True)
    wanted = hashlib.sha256(b"\0".join((CLIENTS / pin).read_bytes() for pin in pins)).hexdigest()
    stamp = directory / ".installed"
    with open(directory.with_name(f".{name}.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)
            install(directory)
            stamp.write_text(wanted)
    return directory


def node_of(modules):
    return next(modules.glob("node-linux-*/bin/node"), None)


def npm_ci(directory):
    for pin in (".npmrc", "package.json", "package-lock.json"):
        shutil.copy(CLIENTS / pin, directory)
    call(["npm", "ci", "--ignore-scripts", "--fetch-retries", "8"], cwd=directory)
    if platform.machine() in PINNED_FOR and not node_of(directory / "node_modules"):  # it is optional, as each is for one kind
        pytest.fail("npm has left out the Node that is pinned", pytrace=False)


def pip_install(directory):
    call(["/usr/bin/python3", "-m", "venv", "--clear", directory])
    call([directory / "bin" / "pip", "install", "--quiet", "--retries", "10", "--requirement",
          CLIENTS / "requirements-clients.txt"])


def node_modules():
    return installed("clients", [".npmrc", "package.json", "package-lock.json"], npm_ci) / "node_modules"


def node_command():
    """(argv, environment) of the Node that is pinned with the libraries, because Debian 12's own is too old for them;
    else of the one in PATH."""
    modules = node_modules()
    return [node_of(modules) or "node"], {"NODE_PATH": str(modules)}


def python_command():
    return [installed("clients-py", ["requirements-clients.txt"], pip_install) / "bin" / "python"], {}


def trusting(ca_file):
    """The environment in which a library trusts these certificates."""
    return {"NODE_EXTRA_CA_CERTS": ca_file, "SSL_CERT_FILE": ca_file} if ca_file else {}
