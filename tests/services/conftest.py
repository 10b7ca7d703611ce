"""What several files of these tests stand on. A file says by a module variable what its own is to be like.

house, clients      a gateway alone, and clients that are closed at a test's end
    ENV             the gateway's settings
    ENDS_ANSWERED   True: the call manager of the house answers by itself that sessions ended or moved
    AT_REST         {metric: value} that the gateway has to come to when a test is over
two_managers        two call managers alone, for tests that break nothing; own: builds houses of a test's own"""
import pytest
import pytest_asyncio

import call_house
import gateway_house


@pytest.fixture(scope="module")
def house(request):
    def answered(command):
        if known := command.name in ("session_end", "session_moved"):
            command.reply()
        return known

    standing = gateway_house.House(**getattr(request.module, "ENV", {}))
    if getattr(request.module, "ENDS_ANSWERED", False):
        standing.manager.on_command = answered
    yield standing
    standing.close()


@pytest_asyncio.fixture
async def clients(house, request):
    made = gateway_house.Clients(house)
    yield made
    await made.close()
    house.system.check_alive()
    for metric, value in getattr(request.module, "AT_REST", {}).items():
        await gateway_house.until(lambda m=metric, v=value: house.metrics()[m] == v, f"{metric} to be {value}")


@pytest.fixture(scope="module")
def standing_managers():
    standing = call_house.House("one", "two", **call_house.PATIENT)
    yield standing
    standing.close()


@pytest.fixture
def two_managers(standing_managers):
    allocator = standing_managers.allocator
    allocator.silent, allocator.endpoint, allocator.node, allocator.region = (
        False, "127.0.0.1:443", "node-1", "rotterdam")
    yield standing_managers
    standing_managers.system.check_alive()


@pytest.fixture
def own():
    """Builds a house of the test's own."""
    with call_house.houses() as build:
        yield build
