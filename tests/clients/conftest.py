"""The client libraries, installed once into the build directory from the pins beside this file, and a system for them.
A test asks for a program's run and gets what it reported, as a list of dicts."""
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import ROOT, System

HERE = Path(__file__).resolve().parent
PROGRAM_S = 180
INSTALL_S = 600


def call(argv, **options):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=INSTALL_S, **options)
    if done.returncode != 0:
        command = " ".join(map(str, argv))
        pytest.fail(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}", pytrace=False)


def installed(name, pins, install):
    """<build>/<name> as install(directory) made it from the files `pins`; made anew when one of them changed."""
    directory = Path(os.environ.get("SB_BUILD") or ROOT / "build").resolve() / name
    directory.mkdir(parents=True, exist_ok=True)
    wanted = hashlib.sha256(b"\0".join((HERE / pin).read_bytes() for pin in pins)).hexdigest()
    stamp = directory / ".installed"
    with open(directory.with_name(f".{name}.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)
            install(directory)
            stamp.write_text(wanted)
    return directory


def npm_ci(directory):
    for pin in (".npmrc", "package.json", "package-lock.json"):
        shutil.copy(HERE / pin, directory)
    call(["npm", "ci", "--ignore-scripts"], cwd=directory)


def pip_install(directory):
    call(["/usr/bin/python3", "-m", "venv", "--clear", directory])
    call([directory / "bin" / "pip", "install", "--quiet", "--requirement", HERE / "requirements-clients.txt"])


@pytest.fixture(scope="session")
def node_modules():
    return installed("clients", [".npmrc", "package.json", "package-lock.json"], npm_ci) / "node_modules"


@pytest.fixture(scope="session")
def client_python():
    return installed("clients-py", ["requirements-clients.txt"], pip_install) / "bin" / "python"


@pytest.fixture(scope="package")
def system():
    with System() as running:
        yield running


def report_of(argv, system, tmp_path_factory, env):
    """Runs a client program on the system's world and returns the lines that it reported."""
    world = tmp_path_factory.mktemp("world") / "demo.json"
    world.write_text(json.dumps(system.demo))
    if system.demo["ca_file"]:
        env = env | {"NODE_EXTRA_CA_CERTS": system.demo["ca_file"], "SSL_CERT_FILE": system.demo["ca_file"]}
    done = subprocess.run([str(a) for a in [*argv, world]], capture_output=True, text=True, timeout=PROGRAM_S,
                          env=os.environ | env)
    if done.returncode != 0:
        # The long part is printed, so it shows once; the failure itself shows with each test that needed the run.
        print("the last that it reported:", *(line[:400] for line in done.stdout.splitlines()[-20:]), sep="\n")
        print(system.report())
        pytest.fail(done.stderr.strip() or f"{argv} ended with {done.returncode}", pytrace=False)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="session")
def node(node_modules):
    """The Node that is pinned with the libraries, because Debian 12's own is too old for them; else the one in PATH."""
    pinned = next(node_modules.glob("node-linux-*/bin/node"), "node")
    return [pinned], {"NODE_PATH": str(node_modules)}


@pytest.fixture(scope="session")
def node_on(node, tmp_path_factory):
    argv, env = node
    return lambda system, program: report_of([*argv, HERE / program], system, tmp_path_factory, env)


@pytest.fixture(scope="session")
def python_on(client_python, tmp_path_factory):
    return lambda system, program: report_of([client_python, HERE / program], system, tmp_path_factory, {})


@pytest.fixture(scope="package")
def run_node(node_on, system):
    return lambda program: node_on(system, program)


@pytest.fixture(scope="package")
def run_python(python_on, system):
    return lambda program: python_on(system, program)
