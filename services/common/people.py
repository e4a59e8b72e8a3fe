"""A person's data, for the law's sake, by address: `python -m services.common.people export|erase|lift ADDRESS`.

An address stands in orders and among subscribers, and nowhere else.
"""

import argparse
import contextlib
import json
import sys
from dataclasses import dataclass
from typing import Any

from services.common import migrations
from services.common.db import personal_data
from services.common.db.engine import Database
from services.common.db.mail import subscribers
from services.common.domain.errors import NotFound
from services.common.infra import broker, log
from services.common.infra.blobs import BlobStore
from services.common.infra.settings import CommonSettings
from services.common.infra.startup import run
from services.common.use_cases.order_lifecycle import OrderLifecycle, make_lifecycle


@dataclass(frozen=True)
class People:
    """The use cases, over what they need."""

    database: Database
    lifecycle: OrderLifecycle

    def export(self, address: str) -> dict[str, Any]:
        """All that is kept of an address: subscription, orders, images, deliveries, e-mails; no image's bytes."""
        with self.database.read() as session:
            return personal_data.get_personal_data(session, address)

    def erase(self, address: str) -> int:
        """Delete an address's subscription and orders, with images and results; how many orders there were."""
        with self.database.write() as session:
            personal_data.delete_subscriber(session, address)
            order_ids = personal_data.list_orders_of(session, address)
        for order_id in order_ids:
            with contextlib.suppress(NotFound):
                self.lifecycle.delete(order_id)
        return len(order_ids)

    def lift(self, address: str) -> bool:
        """Let an address whose mail came back subscribe again; False if it was not suppressed."""
        with self.database.write() as session:
            return subscribers.lift(session, address.casefold())


def main() -> None:
    """Do what the command says."""
    parser = argparse.ArgumentParser(prog="python -m services.common.people")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, words in (
        ("export", "print all that is kept of an address, as JSON"),
        ("erase", "delete its subscription and its orders with all images"),
        ("lift", "let an address whose mail came back subscribe again"),
    ):
        commands.add_parser(name, help=words).add_argument("address")
    arguments = parser.parse_args()
    settings = CommonSettings.load()
    log.configure(settings.log_level, settings.log_format)
    database = Database(settings.database_url)
    migrations.check(database)
    queues = broker.connect(settings.broker_url)
    lifecycle = make_lifecycle(database, BlobStore(settings.blob_url), queues, window=settings.order_window)
    people = People(database, lifecycle)
    match arguments.command:
        case "export":
            json.dump(people.export(arguments.address), sys.stdout, ensure_ascii=False, indent=2)
            print()
        case "erase":
            print(f"subscription gone, {people.erase(arguments.address)} orders deleted")
        case "lift":
            print("may subscribe again" if people.lift(arguments.address) else "was not suppressed")
    database.close()


if __name__ == "__main__":
    run(main)
