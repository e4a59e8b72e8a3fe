"""Random faults: services killed and restarted, and what they rely on away for a moment, both at the same time."""

import functools
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager

import psutil

from tests.faults import outages
from tests.faults.fleet import SERVICES, Fleet, kill_service
from tests.support.valkey import REFUSALS

Outage = Callable[[Fleet], AbstractContextManager[None]]


class Mishaps:
    """Two threads: one hits processes, the other what they rely on."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self.log: list[tuple[str, float, float]] = []
        """What was done, and from when to when: seconds since 1970."""
        self.violations: list[str] = []
        self._fleet = fleet
        self._over = threading.Event()
        self._outages = _outages(fleet)
        self._threads = [
            threading.Thread(target=self._repeat, args=(self._strike, random.Random(f"strike {seed}"), 3.0)),
            threading.Thread(target=self._repeat, args=(self._outage, random.Random(f"outage {seed}"), 4.0)),
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, with everything there again."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, act: Callable[[random.Random], str], choice: random.Random, pause: float) -> None:
        while not self._over.wait(choice.uniform(0.5, pause)):
            begin = time.time()
            try:
                what = act(choice)
                self.done[what] += 1
                self.log.append((what, begin, time.time()))
            except Exception as error:  # the run has to come to its end, and its audit
                self.violations.append(f"a fault could not be made: {error!r}")

    def _strike(self, choice: random.Random) -> str:
        service = choice.choice(SERVICES)
        records = self._fleet.records(service)
        if not records:
            return f"{service} is away already"
        pid = choice.choice(records).pid
        way = choice.choice(("kill -9", "kill -9 of one process", "SIGTERM"))
        try:
            match way:
                case "kill -9":
                    kill_service(pid)
                case "SIGTERM":
                    os.kill(pid, signal.SIGTERM)
                case _:
                    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
                    choice.choice(processes).kill()
        except (ProcessLookupError, psutil.NoSuchProcess):
            return f"{service} is away already"
        return f"{way}, {service}"

    def _outage(self, choice: random.Random) -> str:
        name = choice.choice(list(self._outages))
        seconds = choice.uniform(0.2, 3.0)
        with self._outages[name](self._fleet):
            self._over.wait(seconds)
        return name


def _outages(fleet: Fleet) -> dict[str, Outage]:
    found: dict[str, Outage] = {
        "Valkey killed": outages.valkey_away,
        "Valkey without its data": outages.valkey_robbed,
        "Valkey stalled": outages.valkey_stalled,
        "broker cut off": lambda fleet: outages.line_cut(fleet.broker),
        "broker's line stalled": lambda fleet: outages.line_stalled(fleet.broker),
        "workers cut off": lambda fleet: outages.line_cut(fleet.worker_broker),
        "workers' line stalled": lambda fleet: outages.line_stalled(fleet.worker_broker),
        "workers' line slow": lambda fleet: outages.line_slow(fleet.worker_broker),
        "mail server away": lambda fleet: outages.line_cut(fleet.smtp),
        "mail server's line stalled": lambda fleet: outages.line_stalled(fleet.smtp),
        "mail server's line slow": lambda fleet: outages.line_slow(fleet.smtp),
        "mail server slow": outages.mail_server_slow,
        "DNS server hangs": outages.dns_hanging,
        "clocks a week ahead": outages.clocks_ahead,
        "database's clock a minute ahead": outages.database_clock_ahead,
        "gateways without descriptors": outages.descriptors_exhausted,
    }
    for how in REFUSALS:
        found[f"Valkey refuses writes ({how})"] = functools.partial(outages.valkey_refusing_writes, how=how)
    if line := fleet.database_line:
        found |= {
            "PostgreSQL stopped": outages.postgres_away,
            "PostgreSQL killed": outages.postgres_killed,
            "PostgreSQL read-only": outages.postgres_read_only,
            "PostgreSQL cut off": lambda _: outages.line_cut(line),
            "PostgreSQL's line stalled": lambda _: outages.line_stalled(line),
        }
    else:
        found["SQLite locked"] = outages.sqlite_locked
        if fleet.small_disk:
            found |= {"disk full": outages.disk_full, "disk read-only": outages.disk_read_only}
    return found
