import gc
import os
from collections.abc import Callable, Generator
from pathlib import Path

import hypothesis
import pytest
from random_counts import draw_seed, mode, random_count

GOLDEN = Path(__file__).parent / "golden"
# It needs what `make formal` installs, and pytest would import it to look for doctests.
collect_ignore = ["support/bounded_proofs.py", "support/reset_proofs.py"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files from today's results")


def pytest_configure() -> None:
    draw_seed()
    hypothesis.settings.register_profile(
        "cascade", deadline=None, derandomize=False, print_blob=True, max_examples=random_count(1000)
    )
    hypothesis.settings.load_profile("cascade")


def pytest_collection_finish() -> None:
    """Leave what was collected out of every later collection of garbage, which else take a tenth of a run."""
    gc.collect()
    gc.freeze()


def pytest_report_header() -> str:
    return f"random cases: {mode()}, EINSUM_CASCADE_SEED={draw_seed()}"


@pytest.fixture(scope="session")
def seed() -> int:
    """Seed of this run, the same in every worker; a test mixes in a number of its own."""
    return draw_seed()


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with tests/golden/<name>.txt, or rewrite that file under --update-golden."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / f"{name}.txt"
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path} is missing; `make golden` writes it"
        assert text == path.read_text(encoding="utf-8"), f"differs from {path}; `make golden` rewrites it"

    return compare


def fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """In CI a skipped test is a failure: there, every tool that a test asks for must be installed."""
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        *_, reason = report.longrepr if isinstance(report.longrepr, tuple) else (report.longrepr,)
        report.outcome = "failed"
        report.longrepr = f"{reason} (a skip is a failure in CI)"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    fail_if_skipped(report)
    return report
