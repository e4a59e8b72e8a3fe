"""The fleets, what is known of them, and the report."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults import audit, report
from tests.faults.fleet import Fleet
from tests.faults.launching import running_fleet
from tests.faults.recording_client import Customer
from tests.faults.report import Line
from tests.support.postgres import PostgresServer

FOLDER = Path(__file__).parent
LINES = pytest.StashKey[list[Line]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults-report", type=Path, help="document that holds the table of faults, to be written anew")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LINES] = []
    config.addinivalue_line("markers", "on(kind): only on the fleet with this kind of database")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker(pytest.mark.timeout(1200))  # a fleet's start and a group of recoveries may be in it
    items[:] = [item for item in items if _belongs(item)]


def _belongs(item: pytest.Item) -> bool:
    only, case = item.get_closest_marker("on"), getattr(item, "callspec", None)
    return only is None or case is None or case.params["fleet"] in only.args


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash[LINES]
    if not lines:
        return
    terminalreporter.section("faults")
    for line in report.as_text(lines):
        terminalreporter.write_line(line)
    if path := config.getoption("--faults-report"):
        report.write(path, lines)


@pytest.fixture
def tell(pytestconfig: pytest.Config) -> Callable[[Line], None]:
    """Adds a line to the report."""
    return pytestconfig.stash[LINES].append


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two of each service on one database; shared by all cases, each of which leaves it calm."""
    server: PostgresServer | None = None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
    with running_fleet(request.param, tmp_path_factory.mktemp(request.param), server) as fleet:
        yield fleet


@pytest.fixture(scope="session")
def customer(fleet: Fleet) -> Iterator[Customer]:
    """The clients; they know what each sample gives from an order that nothing disturbed."""
    with Customer(fleet.gateways) as customer:
        _, images = audit.ended(customer, customer.order())
        customer.reference.update({image.filename: image.output_sha256.hex() for image in images})
        yield customer
