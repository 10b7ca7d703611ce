"""deploy/admin check: all is well, and whatever can be wrong is provoked and told in the sentence that belongs to it, at the
step where a client would fail. It leaves nothing behind."""
import contextlib
import json
import signal
import socket
import ssl
import subprocess
import sys

import pytest
from certificates import EC, openssl
from harness import ROOT, clean_environment, free_port, poll

SYSTEM = {"nodes": {"bergen-1": "bergen", "oslo-1": "oslo"}, "instances": {"gateway": 3},
          "env": {"gateway-2": {"SB_PUBLIC_URL": "ws://nowhere.invalid"}, "gateway-3": {"SB_PUBLIC_URL": "ws://127.0.0.1:1"}}}
NODE = "oslo-1"


def run(*options, typed=""):
    """(exit code, all that it says)"""
    done = subprocess.run([sys.executable, ROOT / "deploy" / "admin", "check", *options], env=clean_environment(),
                          input=typed, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def check(system, *options, ca=True, gateway="gateway"):
    return run("--url", system.admin_url, "--token", system.admin_token, "--api", system.api_base_of(gateway),
               *(["--ca", str(system.authority.chain)] if ca else []), *options)


def says(system, *sentences, region="oslo", **options):
    """In the end: what a node has announced before it was started anew is believed for some moments."""
    last = [""]

    def said():
        code, last[0] = check(system, "--region", region, **options)
        assert code in (0, 1), last[0]
        return code == 1 and all(sentence in last[0] for sentence in sentences)

    try:
        poll(said, "the sentence", 20)
    except AssertionError:
        raise AssertionError(f"{sentences} is not in: {last[0]}") from None
    assert last[0].count("WRONG") == 1 and "1 thing is wrong" in last[0], last[0]


@pytest.fixture
def node(system):
    """The settings of the node, for the test to change and to start() it with; as they were afterwards."""
    service = system.services[NODE]
    before = dict(service.env)
    yield service
    service.env.clear()
    service.env.update(before)
    system.restart(NODE) if service.proc else system.start(NODE)


@pytest.fixture
def certificate(system):
    """Puts another certificate in the place of the node's: certificate(issue), and the first one back afterwards."""
    service = system.services[NODE]
    files = [service.env[name] for name in ("SB_TLS_CERTIFICATE", "SB_TLS_KEY")]
    before = [open(file, "rb").read() for file in files]
    address, port = service.env["SB_BIND"], int(service.env["SB_PORT"])

    def put(contents):
        for file, content in zip(files, contents):
            with open(file, "wb") as out:
                out.write(content)
        wanted = contents[0].decode().strip()
        service.proc.send_signal(signal.SIGHUP)
        poll(lambda: ssl.get_server_certificate((address, port), timeout=10).strip() == wanted, "the other certificate")

    yield put
    put(before)


def issued(directory, names, issuer=None, days=2):
    """(certificate, key) in PEM, for these subject alternative names; signed by itself unless an issuer is given."""
    config, chain, key = directory / "it.cnf", directory / "it.pem", directory / "it.key.pem"
    config.write_text(f"[req]\ndistinguished_name = name\n[name]\n[it]\nsubjectAltName = {names}\n")
    openssl("req", "-x509", *EC, "-config", config, "-extensions", "it", "-subj", "/CN=it", "-keyout", key, "-out", chain)
    if issuer:
        openssl("x509", "-in", chain, "-days", days, "-out", chain, "-CA", issuer.chain, "-CAkey", issuer.key)
    return chain.read_bytes(), key.read_bytes()


def test_all_is_well_and_nothing_is_left_behind(system):
    before = system.admin_ok("GET", "/admin/guilds")
    code, said = check(system)
    assert code == 0 and "all is well" in said and "WRONG" not in said, said
    for name in ("bergen-1", "oslo-1"):
        env, ports = system.services[name].env, system.services[name].ports
        assert f"{env['SB_ENDPOINT']} lets us in, and UDP {env['SB_BIND']}:{ports['media']} answers" in said, said
    assert system.admin_ok("GET", "/admin/guilds") == before
    system.admin_ok("POST", "/admin/guilds", {"name": "Switchboard check", "owner": "switchboard-check"})
    assert check(system) == (code, said)            # a second time, with what one that was killed has left
    assert system.admin_ok("GET", "/admin/guilds") == before


def test_json_says_the_same(system):
    code, said = check(system, "--region", "oslo", "--json")
    found = json.loads(said)
    assert code == 0 and [row["kind"] for row in found if row["kind"] != "mind"] == ["ok"] * 3, said


@pytest.mark.parametrize("who", ["users", "bots"])
def test_an_account_of_the_operators_is_checked_without_the_admin_port(system, who):
    account = system.demo[who][0]
    code, said = run("--api", system.api_base, "--ca", system.authority.chain, "--user-token", account["token"])
    assert code == 0 and f"logged in as {account['username']}" in said and "channel Lounge" in said, said
    code, said = run("--api", system.api_base, "--ca", system.authority.chain, "--user-token", "-",
                     typed=f"{account['token']}\n")
    assert code == 0 and f"logged in as {account['username']}" in said, said


def test_an_authority_that_is_not_trusted(system):
    says(system, "comes from an authority that is not trusted here", "with --ca", ca=False)


def test_a_certificate_signed_by_itself(system, certificate, tmp_path):
    certificate(issued(tmp_path, f"IP:{system.services[NODE].env['SB_BIND']}"))
    says(system, "is signed by itself", "deploy/certificates")


def test_a_certificate_for_another_name(system, certificate, tmp_path):
    certificate(issued(tmp_path, "IP:127.9.9.9", system.authority))
    says(system, "is for another address than " + system.services[NODE].env["SB_BIND"], "SB_TLS_CERTIFICATE")


def test_a_certificate_without_the_name_of_the_endpoint(system, node):
    port = free_port()
    node.env.update(SB_BIND="127.0.0.1", SB_PORT=str(port), SB_ENDPOINT=f"localhost:{port}")
    system.restart(NODE)
    says(system, f"(localhost:{port}) is for another name than localhost", "deploy/certificates DIR NAME localhost")


def test_an_expired_certificate(system, certificate, tmp_path):
    certificate(issued(tmp_path, f"IP:{system.services[NODE].env['SB_BIND']}", system.authority, days=-1))
    says(system, "has expired", "SIGHUP")


def test_a_node_that_speaks_no_tls(system, node):
    node.env.update(SB_TLS_CERTIFICATE="", SB_TLS_KEY="")
    system.restart(NODE)
    says(system, "speaks no TLS that we understand", "SB_TLS_CERTIFICATE and SB_TLS_KEY of the node")


def test_a_closed_udp_port(system, node):
    node.env.update(SB_MEDIA_IP=node.env["SB_BIND"], SB_UDP_BIND="127.9.9.9")
    system.restart(NODE)
    says(system, f"UDP port {node.ports['media']} of {node.env['SB_BIND']}, where audio should go, is closed.",
         "in the firewall")


def test_a_silent_udp_port_of_another_machine(system, node):
    port = free_port()
    node.env.update(SB_MEDIA_IP="127.9.9.8", SB_UDP_PORT=str(port))
    system.restart(NODE)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.9.9.8", port))
        says(system, f"UDP port {port} of 127.9.9.8, where audio should go, does not answer", "on another machine's address",
             "Set SB_MEDIA_IP")


def test_a_region_without_a_node(system, node):
    system.terminate(NODE)
    says(system, "no voice node of region oslo has announced itself", "SB_REGION")


def test_a_region_that_is_not_there(system):
    says(system, "there is no region 'atlantis', only bergen, oslo", "SB_REGIONS_FILE", region="atlantis")


def test_an_endpoint_with_a_wrong_port(system, node):
    port = free_port()
    node.env["SB_ENDPOINT"] = f"{node.env['SB_BIND']}:{port}"
    system.restart(NODE)
    says(system, f"nobody listens on TCP port {port} of {node.env['SB_BIND']}", "correct the port in SB_ENDPOINT")


def test_an_endpoint_whose_name_does_not_resolve(system, node):
    node.env["SB_ENDPOINT"] = "nowhere.invalid:443"
    system.restart(NODE)
    says(system, "the name nowhere.invalid of the voice node does not resolve", "DNS record", "correct SB_ENDPOINT")


def test_an_endpoint_of_another_node(system, node):
    node.env["SB_ENDPOINT"] = system.services["bergen-1"].env["SB_ENDPOINT"]
    system.restart(NODE)
    says(system, "the token was made for another node", "an SB_ENDPOINT, and an SB_INSTANCE, that is its alone")


def test_a_public_url_whose_name_does_not_resolve(system):
    says(system, "the name nowhere.invalid of the gateway does not resolve", "correct SB_PUBLIC_URL", gateway="gateway-2")


def test_a_public_url_with_a_wrong_port(system):
    says(system, "nobody listens on TCP port 1 of 127.0.0.1", "correct the port in SB_PUBLIC_URL", gateway="gateway-3")


def test_an_address_of_the_api_that_is_none(system):
    def sentence(api):
        code, said = run("--api", api, "--user-token", system.demo["users"][0]["token"])
        assert code == 1, said
        return said

    assert "does not resolve" in sentence("http://nowhere.invalid/api")
    assert "nobody listens on TCP port 1 of 127.0.0.1" in sentence("http://127.0.0.1:1/api")
    assert "names no gateway" in sentence(system.api_base.removesuffix("/api"))
    assert "is no address of the API" in sentence("chat.example")
    node = system.services["bergen-1"].env["SB_ENDPOINT"]
    assert "hangs up on a request" in sentence(f"http://{node}/api")


def test_a_wrong_token(system):
    code, said = run("--api", system.api_base, "--user-token", "nobody's")
    assert code == 1 and "the token is not accepted (HTTP 401)" in said and "deploy/admin token NAME" in said, said


@pytest.mark.parametrize("kind, sentence, advice", [
    ("call-manager", "the wish to join (op 4) is not answered", "Ask /readyz of the call-manager"),
    ("region-allocator", "nothing is said about a voice server", "Ask /readyz of the region-allocator")])
def test_a_service_that_is_not_there(system, kind, sentence, advice):
    system.terminate(kind)
    try:
        code, said = run("--api", system.api_base, "--ca", system.authority.chain,
                         "--user-token", system.demo["users"][1]["token"])
        assert code == 1 and sentence in said and advice in said, said
    finally:
        system.start(kind)


def test_a_port_that_does_not_answer_at_all(system):
    """One whose queue of connections is full: the kernel drops what more comes, as a firewall does."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        port = full.getsockname()[1]
        code, said = run("--api", f"http://127.0.0.1:{port}/api", "--user-token", "x")
    assert code == 1 and f"TCP port {port} of 127.0.0.1" in said and "does not answer within" in said, said
