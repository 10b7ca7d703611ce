"""The house stands: every service is a process of its own and tells how it is.
Health, readiness, metrics, and the clean end on TERM (which stop() of the System checks for every story)."""
import json
import os
import re
from pathlib import Path

import pytest

from harness import KINDS, fetch

SYSTEM = {"nodes": {"voice-node": "rotterdam"}}
METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*(\{[^}]*\})? (-?[0-9.eE+-]+|NaN|[+-]Inf)( \d+)?")


@pytest.mark.parametrize("kind", KINDS)
def test_service_is_healthy_and_ready(system, kind):
    status, _, _ = fetch("GET", system.health_url_of(kind) + "/healthz")
    assert status == 200
    status, _, body = fetch("GET", system.health_url_of(kind) + "/readyz")
    assert status == 200
    assert json.loads(body)["ready"] is True


@pytest.mark.parametrize("kind", KINDS)
def test_metrics_are_prometheus_text(system, kind):
    status, _, body = fetch("GET", system.health_url_of(kind) + "/metrics")
    assert status == 200
    lines = [line for line in body.decode().splitlines() if line and not line.startswith("#")]
    assert lines, "no metrics at all"
    wrong = [line for line in lines if not METRIC.fullmatch(line)]
    assert not wrong, wrong


def listening(pid):
    """The local addresses, as the kernel prints them, that a process accepts connections on."""
    sockets = {os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}
    rows = [line.split() for family in ("tcp", "tcp6") for line in Path(f"/proc/{pid}/net/{family}").read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_told_otherwise_listens_on_loopback_alone(system, kind):
    addresses = listening(system.services[kind].proc.pid)
    wanted = {"gateway": 5, "voice-node": 4}.get(kind, 3)
    assert len(addresses) == wanted, "two for the bus, health; the gateway's clients and administration; those of the voice node"
    assert {address.split(":")[0][-2:] for address in addresses} == {"7F"}, addresses


def test_the_demo_world_is_there(system):
    demo = system.demo
    assert [user["username"] for user in demo["users"]] == ["ada", "ben", "cleo", "dan"]
    assert len(demo["bots"]) == 2
    assert demo["dm_channel_id"] != demo["group_channel_id"]
    assert len(demo["guild"]["voice_channel_ids"]) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_service_that_is_told_to_stop_ends_cleanly_and_comes_back(system, kind):
    system.restart(kind)
    status, _, _ = fetch("GET", system.health_url_of(kind) + "/readyz")
    assert status == 200
