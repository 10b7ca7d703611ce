"""Fixtures of the end-to-end stories: one System per file, one World per test.
A file may ask for a System with other options by a module variable SYSTEM = {...}."""
import pytest
import pytest_asyncio

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
