"""What deploy/ does where a whole run would take too long: once a day, or with names that meet."""
import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path

import pytest

from harness import poll

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def load(name, file):
    """A module of deploy/, whatever its file is called."""
    spec = importlib.util.spec_from_loader(name, importlib.machinery.SourceFileLoader(name, str(DEPLOY / file)))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", autouse=True)
def no_bytecode():
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    yield
    sys.dont_write_bytecode = before


def test_who_was_asked_to_stop_with_others_is_not_asked_again(tmp_path):
    """At its very end a process has no ear for TERM any more, and would die of a second one."""
    module = load("supervisor", "supervisor")
    (tmp_path / "log").mkdir()
    at_its_end, go = tmp_path / "at_its_end", tmp_path / "go"
    script = (f"trap 'trap - TERM; touch {at_its_end}; while [ ! -e {go} ]; do sleep 0.02; done; exit 0' TERM; "
              "echo up; while :; do sleep 0.02; done")
    with open(os.devnull) as lock:
        child = module.Child("node", ["sh", "-c", script], dict(os.environ), tmp_path, lock.fileno())
        child.start()
        poll(lambda: child.log.read_text(), "it to be up")
        child.ready = True
        child.ask_stop()
        poll(at_its_end.exists, "it to be at its end")
        child.ask_stop()
        go.touch()
        assert child.stop()


def test_a_certificate_that_cannot_be_renewed_today_ends_nothing(capsys):
    module = load("supervisor", "supervisor")

    class Node:
        def __init__(self, name, works):
            self.name, self.works, self.asked = name, works, 0

        def certify(self):
            self.asked += 1
            if not self.works:
                raise module.Failure(f"{self.name} has no certificate")
            return False

    supervisor = object.__new__(module.Supervisor)
    bad, good = Node("bad", False), Node("good", True)
    supervisor.nodes = {"bad": bad, "good": good}
    supervisor.services, supervisor.redis, supervisor.certify_at = [], None, 0.0
    with pytest.raises(module.Failure):
        supervisor.certify(at_start=True)  # at the start nothing begins without one
    supervisor.certify_at = 0.0
    supervisor.turn()
    assert "bad has no certificate" in capsys.readouterr().err
    assert good.asked == 1 and bad.asked == 2
    supervisor.turn()
    assert bad.asked == 2  # tomorrow again


def test_of_speakers_whose_names_are_the_same_in_a_file_each_has_his_own(tmp_path):
    module = load("voice_record", "voice_record.py")
    names = {"1": "a b", "2": "a_b", "3": "a/b", "4": "ben", "5": "a_b-2"}
    files = module.files_of(tmp_path / "x.ogg", names)
    assert list(files) == list(names) and len(set(files.values())) == 5
    assert all(file.parent == tmp_path and file.suffix == ".ogg" for file in files.values())
    assert files["4"].name == "x-ben.ogg"
    assert module.files_of(tmp_path / "x.ogg", {"1": "a b"}) == {"1": tmp_path / "x.ogg"}
