"""The plugin in runs of pytest: isolation, markers, failures, what it costs where nobody uses it."""

from __future__ import annotations

import sys
from typing import Final

import pytest

PLAIN: Final = ("-p", "no:schemathesis", "-p", "no:cacheprovider", "-p", "no:cov", "-p", "no:asyncio", "-W", "error")


@pytest.fixture
def run(pytester: pytest.Pytester) -> pytest.Pytester:
    """A directory whose setting asks for five people."""
    pytester.makeini("[pytest]\npws_options = contacts = 5\n")
    return pytester


def test_each_test_has_a_server_without_a_past(run: pytest.Pytester) -> None:
    """Presence, sessions, faults, clock and calls; a failed test leaves nothing either."""
    run.makepyfile("""
        import http.client
        import time
        import pytest

        @pytest.mark.parametrize("turn", range(3))
        def test_state(pws_server, pws_office, pws_faults, turn):
            assert pws_office.get("ann@example.com").state == "UNAVAILABLE"
            assert (pws_server.calls, pws_server.subscriptions, pws_faults.hits) == ((), (), {})
            assert abs(pws_server.now - time.time()) < 1000
            pws_office.set("ann@example.com", "BUSY")
            pws_server.move_clock(5000)
            pws_faults.inject("refuse", code=200)
            connection = http.client.HTTPConnection(pws_server.host, pws_server.port)
            connection.request("POST", "/presence-service/soap", b"<x/>")
            assert connection.getresponse().status == 200
            connection.close()
            pws_faults.inject("node-down", node="imp1")
            assert turn != 1
    """)
    run.inline_run(*PLAIN).assertoutcome(passed=2, failed=1)


def test_the_closest_marker_counts(run: pytest.Pytester) -> None:
    run.makepyfile("""
        import pytest

        pytestmark = pytest.mark.pws(nodes=2, max_contacts=10)

        def test_module(pws_server, pws_office):
            assert (len(pws_server.nodes), pws_server.options.max_contacts) == (2, 10)
            assert len(pws_office.contacts) == 5

        @pytest.mark.pws(nodes=3)
        class TestClass:
            @pytest.mark.pws(max_contacts=20, contacts=0)
            def test_function(self, pws_server, pws_office):
                assert (len(pws_server.nodes), pws_server.options.max_contacts) == (3, 20)
                assert pws_office.contacts == ()
    """)
    run.inline_run(*PLAIN, "--strict-markers").assertoutcome(passed=2)


def test_a_wrong_marker_is_an_error_of_its_test_alone(run: pytest.Pytester) -> None:
    run.makepyfile("""
        import pytest

        @pytest.mark.pws(max_contcts=10)
        def test_wrong(pws_server):
            raise AssertionError("not reached")

        def test_right(pws_server):
            pass
    """)
    result = run.runpytest_inprocess(*PLAIN)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["@pytest.mark.pws: max_contcts: no such option (did you mean max_contacts?), expected one of contacts, *"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*During handling*")


def test_a_wrong_setting_is_an_error_of_every_test_that_uses_it(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\npws_options = tls = perhaps\n")
    pytester.makepyfile("def test_it(pws_server): pass\ndef test_other(): pass")
    result = pytester.runpytest_inprocess(*PLAIN)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["pws_options: tls: expected true or false, got 'perhaps'"])


def test_a_failure_shows_the_calls(run: pytest.Pytester) -> None:
    """And points at the line of the test, not into the plugin."""
    run.makepyfile("""
        import http.client

        def test_it(pws_server):
            connection = http.client.HTTPConnection(pws_server.host, pws_server.port)
            connection.request("POST", "/presence-service/soap", b"<x/>")
            connection.getresponse().close()
            connection.close()
            pws_server.wait_for_fetch(timeout=0.01)
    """)
    result = run.runpytest_inprocess(*PLAIN)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*pws_server.wait_for_fetch(timeout=0.01)",
            "E*WaitTimedOut: no successful fetch within 0.01 s",
            "test_a_failure_shows_the_calls.py:8: WaitTimedOut",
            "*Calls of the Presence Web Service*",
            "  1 unreadable by nobody at imp1: refused with 103 *",
        ]
    )
    result.stdout.no_fnmatch_line("*pytest_plugin/*")


def test_faults_are_taken_back_before_older_fixtures_end(run: pytest.Pytester) -> None:
    """So that a program that is stopped by its fixture can log out."""
    run.makepyfile("""
        import http.client
        import pytest

        @pytest.fixture
        def program(pws_server):
            yield
            connection = http.client.HTTPConnection(pws_server.host, pws_server.port)
            connection.request("POST", "/presence-service/soap", b"<x/>")
            assert connection.getresponse().status == 200
            connection.close()

        def test_it(program, pws_faults):
            pws_faults.inject("node-down", node="imp1")
            pws_faults.inject("http-503")
    """)
    run.inline_run(*PLAIN).assertoutcome(passed=1)


def test_marker_setting_and_fixtures_are_described(run: pytest.Pytester) -> None:
    run.makepyfile("def test_it(): pass")
    run.runpytest_inprocess(*PLAIN, "--markers").stdout.fnmatch_lines(
        ["@pytest.mark.pws(**options): what kind of server *"]
    )
    run.runpytest_inprocess(*PLAIN, "--fixtures").stdout.fnmatch_lines_random(
        ["pws_server -- *", "pws_office -- *", "pws_faults -- *", "*A Presence Web Service on free ports of 127.0.0.1*"]
    )


def test_a_run_that_does_not_use_it_loads_nothing_of_it(pytester: pytest.Pytester) -> None:
    """The package and the plugin's first module are all."""
    pytester.makeconftest("""
        import sys

        def pytest_unconfigure():
            print("loaded:", *sorted(name for name in sys.modules if name.startswith(("pws_soap", "service", "zeep"))))
    """)
    pytester.makepyfile("def test_it(): pass")
    done = pytester.run(sys.executable, "-m", "pytest", *PLAIN, "-p", "no:xdist", "-p", "no:hypothesispytest", "-s")
    done.stdout.fnmatch_lines(["*loaded: pws_soap pws_soap.pytest_plugin"])


@pytest.mark.long(ci=True)
def test_processes_of_xdist_have_servers_of_their_own(run: pytest.Pytester) -> None:
    run.makepyfile("""
        import pytest

        @pytest.mark.parametrize("turn", range(8))
        def test_it(pws_server, pws_office, turn):
            assert len(pws_office.contacts) == 5
    """)
    run.runpytest_subprocess(*PLAIN, "-n", "2").assert_outcomes(passed=8)
