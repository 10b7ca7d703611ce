"""The client libraries (tests/lib/libraries.py) and a system for them. A test asks for a program's run and gets what it
reported, as a list of dicts; or for peers, which do what it tells them."""
import json
import os
import subprocess
from pathlib import Path

import libraries
import pytest
from harness import System
from peers import Cast

HERE = Path(__file__).resolve().parent
PROGRAM_S = 180
# Two in each region, one of whose is the default.
NODES = {"rotterdam-1": "rotterdam", "rotterdam-2": "rotterdam", "frankfurt-1": "frankfurt", "frankfurt-2": "frankfurt"}


@pytest.fixture(scope="package")
def system():
    with System(nodes=NODES) as running:
        yield running


@pytest.fixture
def cast(system):
    with Cast(system) as peers:
        yield peers


def report_of(argv, system, tmp_path_factory, env):
    """Runs a client program on the system's world and returns the lines that it reported."""
    world = tmp_path_factory.mktemp("world") / "demo.json"
    world.write_text(json.dumps(system.demo))
    env = env | libraries.trusting(system.demo["ca_file"])
    done = subprocess.run([str(a) for a in [*argv, world]], capture_output=True, text=True, timeout=PROGRAM_S,
                          env=os.environ | env)
    if done.returncode != 0:
        # The long part is printed, so it shows once; the failure itself shows with each test that needed the run.
        print("the last that it reported:", *(line[:400] for line in done.stdout.splitlines()[-20:]), sep="\n")
        print(system.report())
        pytest.fail(done.stderr.strip() or f"{argv} ended with {done.returncode}", pytrace=False)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="session")
def node_on(tmp_path_factory):
    argv, env = libraries.node_command()
    return lambda system, program: report_of([*argv, HERE / program], system, tmp_path_factory, env)


@pytest.fixture(scope="session")
def python_on(tmp_path_factory):
    argv, env = libraries.python_command()
    return lambda system, program: report_of([*argv, HERE / program], system, tmp_path_factory, env)


@pytest.fixture(scope="package")
def run_node(node_on, system):
    return lambda program: node_on(system, program)


@pytest.fixture(scope="package")
def run_python(python_on, system):
    return lambda program: python_on(system, program)
