"""Fixtures of the end-to-end stories: one System per file, one World per test.
A file may ask for a System with other options by a module variable SYSTEM = {...}."""
import pytest
import pytest_asyncio

from bystander import Bystander
from hall import Hall
from harness import System
from world import World


@pytest.fixture(scope="module")
def system(request):
    running = System(**getattr(request.module, "SYSTEM", {}))
    yield running
    running.stop()


@pytest_asyncio.fixture
async def world(system):
    """Everything of it is closed at the end, and no process may have suffered."""
    made = World(system)
    yield made
    await made.close()
    system.check_alive()


@pytest_asyncio.fixture
async def hall(world):
    """Two people and a voice channel; the file's SYSTEM has nodes."""
    made = Hall(world, "ada", "ben")
    yield made
    await made.close()


@pytest.fixture(scope="module")
def _bystander(system, request):
    """One for all tests of a file; its worst moment is told at the end."""
    made = Bystander(system)
    yield made
    made.stop()
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{request.path.name}: bystanders were told of {made.turns} steps of a call and {made.moves} in a guild, "
              f"the slowest took {made.worst_s * 1000:.0f} ms")


@pytest.fixture
def bystander(_bystander):
    """A call and a guild of other people that go on during the test without a late event."""
    yield _bystander
    _bystander.went_on()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the last lines of every log, and the logs are kept."""
    report = yield
    system = getattr(item, "funcargs", {}).get("system")
    if report.failed and system is not None:
        system.keep = True
        report.sections.extend((f"log of {name}", text) for name, text in system.log_tails())
        report.sections.append(("logs", str(system.dir)))
    return report
