"""The README's table of settings says what the services themselves say with --help."""
import os
import re
import subprocess
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"
SERVICES = ("gateway", "call-manager", "region-allocator", "message", "voice-node")


def settings(service):
    """{(variable, default, what it is for)} of one service."""
    binary = Path(os.environ["SB_BUILD"]) / "bin" / f"switchboard-{service}"
    told = subprocess.run([binary, "--help"], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^      (.*) \((\w+), default: (.*)\)$", told, re.M)
    assert len(found) == told.count("\n  --")
    return {(env, default, what) for what, env, default in found}


@pytest.fixture(scope="module")
def documented():
    """{service: the same as its README rows have it}"""
    rows = re.findall(r"^\| `(\w+)` \| ([\w, -]+) \| (?:`(.+?)`|(none)) \| (.+) \|$", README.read_text(), re.M)
    return {service: {(env, value or none, what) for env, of, value, none, what in rows
                      if of == "all" or service in of.split(", ")} for service in SERVICES}


@pytest.mark.parametrize("service", SERVICES)
def test_the_readme_lists_the_settings_of(service, documented):
    assert documented[service] == settings(service)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("flag", ["--colour=red", "--bus-lease-ms=soon", "--bus-lease-ms=1", "--log-level=loud", "--log-level"])
def test_a_wrong_setting_refuses_to_start_in_a_sentence(service, flag):
    binary = Path(os.environ["SB_BUILD"]) / "bin" / f"switchboard-{service}"
    secrets = {"SB_ADMIN_TOKEN": "a" * 32, "SB_TOKEN_SECRET": "b" * 32, "SB_REGION": "r", "SB_ENDPOINT": "node.test:443"}
    done = subprocess.run([binary, flag], capture_output=True, text=True, timeout=30, env=os.environ | secrets)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and flag.split("=")[0] in done.stderr, done.stderr


SECRETS = {"SB_ADMIN_TOKEN": "a" * 32, "SB_TOKEN_SECRET": "b" * 32}
REFUSED = [
    ({"SB_ADMIN_TOKEN": ""}, "SB_ADMIN_TOKEN (--admin-token) must be set (what callers of the admin API must know)."),
    ({"SB_ADMIN_TOKEN": "x" * 15}, "SB_ADMIN_TOKEN (--admin-token) must have at least 16 characters, not 15."),
    ({"SB_TOKEN_SECRET": ""}, "SB_TOKEN_SECRET (--token-secret) must be set (signs client tokens; the same for all gateways)."),
    ({"SB_TOKEN_SECRET": "x" * 31}, "SB_TOKEN_SECRET (--token-secret) must have at least 32 characters, not 31."),
    ({"SB_BUS_BIND": "@redis", "REDIS_URL": "redis://[::1]"},
     "SB_BUS_BIND (--bus-bind): is @redis, and this host knows no way to the one that REDIS_URL names"),
    ({"SB_ADMIN_BIND": "@redis", "REDIS_URL": "redis://[::1]"},
     "SB_ADMIN_BIND (--admin-bind): is @redis, and this host knows no way to the one that REDIS_URL names"),
    ({"SB_ORIGINS": "https://chat.example chat.example"},
     'SB_ORIGINS (--origins): "chat.example" is neither * nor an origin such as https://chat.example.'),
    ({"SB_TLS_CERTIFICATE": "/none.pem"}, "SB_TLS_CERTIFICATE, SB_TLS_KEY: one of them is set, and the other is needed too."),
    ({"SB_TLS_KEY": "/none.pem"}, "SB_TLS_CERTIFICATE, SB_TLS_KEY: one of them is set, and the other is needed too."),
    ({"SB_TLS_CERTIFICATE": "/none.pem", "SB_TLS_KEY": "/none.pem"},
     "SB_TLS_CERTIFICATE, SB_TLS_KEY: /none.pem cannot be read: No such file or directory."),
]


@pytest.mark.parametrize("env, sentence", REFUSED)
def test_a_gateway_that_would_not_be_safe_refuses_to_start_in_a_sentence(env, sentence):
    binary = Path(os.environ["SB_BUILD"]) / "bin" / "switchboard-gateway"
    done = subprocess.run([binary, "--admin-port=0", "--port=0"], capture_output=True, text=True, timeout=30,
                          env=os.environ | SECRETS | env)
    assert done.returncode == 2
    own = [line for line in done.stderr.splitlines() if not line.startswith("ts=")]
    assert own == [sentence]


REFUSED_NODE = [
    ({"SB_REGION": ""}, "SB_REGION (--region) must be set (id of the region that this node is in)."),
    ({"SB_UDP_BIND": "media.example"}, "SB_UDP_BIND (--udp-bind): must be an IPv4 address"),
    ({"SB_UDP_BIND": "0.0.0.0"},
     "SB_MEDIA_IP (--media-ip): must be the IPv4 address at which clients reach this node"),
    ({"SB_MEDIA_IP": "media.example"},
     "SB_MEDIA_IP (--media-ip): must be the IPv4 address at which clients reach this node"),
    ({"SB_BALANCERS": "here"},
     "SB_BALANCERS (--balancers): must be addresses or networks like 10.0.0.0/8, separated by commas"),
    ({"SB_TLS_KEY": "/none.pem"}, "SB_TLS_CERTIFICATE, SB_TLS_KEY: one of them is set, and the other is needed too."),
]


@pytest.mark.parametrize("env, sentence", REFUSED_NODE)
def test_a_voice_node_that_nobody_could_reach_refuses_to_start_in_a_sentence(env, sentence):
    binary = Path(os.environ["SB_BUILD"]) / "bin" / "switchboard-voice-node"
    done = subprocess.run([binary], capture_output=True, text=True, timeout=30,
                          env=os.environ | {"SB_REGION": "r", "SB_ENDPOINT": "node.test:443"} | env)
    assert done.returncode == 2
    own = [line for line in done.stderr.splitlines() if not line.startswith("ts=")]
    assert own == [sentence]


def test_a_node_s_lease_outlasts_what_an_allocator_may_be_away_for():
    """One that stood still for up to a second (FLEET_STALL_MS) has not read the last three words of each node yet."""
    binary = Path(os.environ["SB_BUILD"]) / "bin" / "switchboard-region-allocator"
    done = subprocess.run([binary, "--node-lease-ms=1400"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and "1500" in done.stderr, done.stderr
