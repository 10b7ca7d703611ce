"""Web pages: those that are named may use REST and the gateway, all others are refused, and none reaches the admin API."""
import aiohttp
import pytest

from harness import fetch

NAMED, OTHER = "https://chat.example", "https://evil.example"
SYSTEM = {"env": {"gateway": {"SB_ORIGINS": f"{NAMED} app://-"}}}
PREFLIGHT = {"Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "authorization,content-type,x-super-properties"}


async def ask(world, method, path, **headers):
    url = world.system.api_base + path
    async with world.http.request(method, url, headers={key.replace("_", "-"): v for key, v in headers.items()}) as answer:
        return answer.status, answer.headers, await answer.read()


async def upgrade(world, **headers):
    """101, or the status that an upgrade is refused with."""
    try:
        ws = await world.http.ws_connect(f"{world.system.gateway_url}/?v=9&encoding=json", headers=headers)
    except aiohttp.WSServerHandshakeError as refused:
        return refused.status
    assert (await ws.receive_json())["op"] == 10
    await ws.close()
    return 101


async def test_a_named_page_uses_the_api_as_a_browser_does(world):
    ada = world.user("ada")
    status, headers, body = await ask(world, "OPTIONS", "/v9/users/@me", Origin=NAMED, **PREFLIGHT)
    assert (status, body) == (204, b"")
    assert headers["Access-Control-Allow-Origin"] == NAMED and headers["Vary"] == "Origin"
    allowed = {name.strip().lower() for name in headers["Access-Control-Allow-Headers"].split(",")}
    assert allowed >= set(PREFLIGHT["Access-Control-Request-Headers"].split(","))
    assert {"GET", "POST", "PUT", "PATCH", "DELETE"} == set(headers["Access-Control-Allow-Methods"].split(", "))
    status, headers, _ = await ask(world, "GET", "/v9/users/@me", Origin=NAMED, Authorization=ada.token)
    assert status == 200 and headers["Access-Control-Allow-Origin"] == NAMED
    assert "Retry-After" in headers["Access-Control-Expose-Headers"]
    status, headers, _ = await ask(world, "GET", "/v9/users/@me", Origin=NAMED, Authorization="wrong")
    assert status == 401 and headers["Access-Control-Allow-Origin"] == NAMED      # or the page could not read why
    assert await upgrade(world, Origin=NAMED) == 101
    assert await upgrade(world, Origin="app://-") == 101


@pytest.mark.parametrize("origin", [OTHER, "null", "http://localhost:3000", NAMED + ".evil.example"])
async def test_other_pages_are_refused(world, origin):
    ada = world.user("ada")
    for method, more in ("OPTIONS", PREFLIGHT), ("GET", {}), ("POST", {"Content-Type": "text/plain"}):
        status, headers, body = await ask(world, method, "/v9/users/@me", Origin=origin, Authorization=ada.token, **more)
        assert status == 403 and b"403: Forbidden" in body
        assert not [name for name in headers if name.startswith("Access-Control")]
    assert await upgrade(world, Origin=origin) == 403
    if origin == OTHER:                 # so many lines a second and no more
        assert f"event=origin.refused port=public origin={origin}" in world.system.services["gateway"].log.read_text()


async def test_who_is_no_page_is_let_in_under_any_name(world):
    ada = world.user("ada")
    status, headers, _ = await ask(world, "GET", "/v9/users/@me", Authorization=ada.token, Host="bot.example")
    assert status == 200 and "Access-Control-Allow-Origin" not in headers
    assert await upgrade(world, Host="bot.example") == 101
    host = world.system.gateway_url.removeprefix("ws://")
    assert await upgrade(world, Origin=f"http://{host}") == 101         # what some websocket libraries send by themselves


async def test_a_name_that_was_given_our_address_is_no_way_in(world):
    """DNS rebinding: the page's own name leads here, so that Origin and Host agree."""
    assert await upgrade(world, Origin="http://evil.example:8080", Host="evil.example:8080") == 403
    status, _, _ = await ask(world, "POST", "/v9/auth/login", Origin="http://evil.example", Host="evil.example")
    assert status == 403


def test_no_page_reaches_the_admin_api(system):
    def admin(method, **headers):
        status, _, _ = fetch(method, system.admin_url + "/admin/list", headers=headers)
        return status

    bearer = {"Authorization": f"Bearer {system.admin_token}"}
    assert admin("GET", **bearer) == 200
    for origin in (NAMED, OTHER, "null", system.admin_url):
        assert admin("GET", Origin=origin, **bearer) == 403
        assert admin("OPTIONS", Origin=origin, **PREFLIGHT) == 403
    assert admin("GET", Host="evil.example", **bearer) == 403
    assert admin("GET", Host="localhost", **bearer) == 200
