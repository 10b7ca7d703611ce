"""Processes in which nng does not close a socket: they end all the same, and say by their exit status whether they have to
be started anew. Real services, with a library before nng whose nng_close never returns."""
import os
from pathlib import Path

from harness import ROOT, System, clean_environment

STOPS_S = 90            # 10 to 20 s after the lease of who is gone has run out


def system_with_hanging_nng(*names):
    library = Path(os.environ.get("SB_BUILD") or ROOT / "build").resolve() / "bin" / "nng_hangs.so"
    asan = clean_environment()["ASAN_OPTIONS"] + ":verify_asan_link_order=0"
    return System(world=None, env={name: {"LD_PRELOAD": str(library), "ASAN_OPTIONS": asan} for name in names})


def test_a_process_that_loses_a_peer_stops_and_its_status_says_that_it_failed():
    losers = "call-manager", "gateway"  # whoever has such an nng and loses a peer ends, so these are all who have
    with system_with_hanging_nng(*losers) as system:
        system.kill("region-allocator")
        for service in map(system.services.get, losers):
            assert service.proc.wait(STOPS_S) == 1
            service.proc = None
            said = service.log.read_text()
            assert "event=bus.stuck" in said and 'event=service.stopping why="it fails"' in said
            assert "event=bus.left_open" in said


def test_a_process_that_is_asked_to_stop_ends_well():
    with system_with_hanging_nng("*") as system:
        system.stop_all()       # all at once: who loses another one before he is asked himself stops by himself, and fails
        for service in system.services.values():
            assert "event=bus.left_open" in service.log.read_text()
