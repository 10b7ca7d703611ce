"""The same bots against a public port that speaks TLS: the libraries are only given the certificate that they may trust."""
import pytest
from harness import System


@pytest.fixture(scope="module")
def tls_system():
    with System(tls=True) as running:
        yield running


@pytest.mark.parametrize("run, program", [("node_on", "discordjs_login.js"), ("python_on", "discordpy_login.py")])
def test_the_bots_log_in_over_tls(run, program, tls_system, request):
    lines = request.getfixturevalue(run)(tls_system, program)
    ready = [line["user"] for line in lines if line["event"] == "ready"]
    assert ready == [bot["id"] for bot in tls_system.demo["bots"]]
