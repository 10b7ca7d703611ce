"""TLS on the public port: a call over wss and https, renewal of the certificate while it goes on, and nothing without it."""
import contextlib
import signal
import socket
import ssl

import calls
from gateway_house import until

SYSTEM = {"tls": True}


def shown(system):
    """The certificate that a new connection is shown, in PEM."""
    at = ("127.0.0.1", system.services["gateway"].ports["public"])
    return ssl.get_server_certificate(at, timeout=10).strip()


def log_of(system, service="gateway"):
    return system.services[service].log.read_text()


async def test_a_call_over_tls_with_urls_that_say_so(world, system):
    ada, ben = world.users("ada", "ben")
    channel = world.dm(ada, ben)
    one, two = await world.login(ada), await world.login(ben)
    told = (await one.rest.get("/gateway")).ok()["url"]
    assert told == system.gateway_url and told.startswith("wss://")
    assert one.ready["resume_gateway_url"].startswith("wss://")
    call = await calls.start(one, two, channel=channel)
    await one.rest.ring(channel)
    for client in (one, two):
        await calls.ringing(client, channel, [two], one)
    await calls.join(two, one, call=call, rung=[])
    await calls.leave(one, two)
    await calls.leave_last(two, one, call=call)


async def test_a_session_is_resumed_over_tls(world):
    ada = await world.login(world.user("ada"))
    await ada.abort()
    assert await ada.reconnect_and_resume() == []


async def test_a_renewed_certificate_is_shown_and_clients_stay(world, system):
    ada = await world.login(world.user("ada"))
    gateway, certificate = system.services["gateway"], system.certificate
    before = certificate.chain.read_text().strip()
    assert shown(system) == before
    certificate.issue("renewed")
    assert shown(system) == before
    gateway.proc.send_signal(signal.SIGHUP)
    await until(lambda: shown(system) == certificate.chain.read_text().strip(), "the renewed certificate")
    await ada.heartbeat()
    good = certificate.chain.read_text()
    certificate.chain.write_text("not a certificate")
    gateway.proc.send_signal(signal.SIGHUP)
    await until(lambda: "event=certificate.kept" in log_of(system), "a line about the bad file")
    assert shown(system) == good.strip()
    await ada.heartbeat()
    certificate.chain.write_text(good)


async def test_who_speaks_without_tls_is_hung_up_on(system):
    with socket.create_connection(("127.0.0.1", system.services["gateway"].ports["public"]), timeout=10) as plain:
        plain.sendall(b"GET /api/v9/gateway HTTP/1.1\r\nHost: x\r\n\r\n")
        said = b""
        with contextlib.suppress(ConnectionResetError):
            while got := plain.recv(1000):
                said += got
    assert b"HTTP/1.1" not in said


async def test_a_hangup_ends_no_service(system):
    for service in system.services.values():
        service.proc.send_signal(signal.SIGHUP)
    system.restart("message")           # ends cleanly, so it had not ended by itself
    system.check_alive()
