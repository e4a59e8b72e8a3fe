"""The models that workers have announced, so that an order for what nobody can find is refused when it is placed."""

import time
from collections.abc import Mapping, Sequence

from services.common.db.engine import Database
from services.common.db.queues import find_models
from services.common.domain.errors import InvalidArgument, Unavailable, Violation
from services.common.domain.findings import FindModel
from services.common.domain.spec import BlurSpec, Find, FindingKind
from services.gateway.rpc.thread_pool import ThreadPool

CACHED_SECONDS = 10.0
RETRY_SECONDS = 0.2
"""If a model is not among those that are cached, or there are none: it may be new."""

_BUILT_IN = {FindingKind.FACE: "faces", FindingKind.TEXT: "text", FindingKind.CODE: "codes"}
"""What each kind finds, and the extra that installs it."""


class AvailableModels:
    """Knows the models, and reads them again when they are old."""

    def __init__(self, database: Database, threads: ThreadPool) -> None:
        self._database = database
        self._threads = threads
        self._models: Sequence[FindModel] = ()
        self._read_at = float("-inf")

    async def list(self, *, max_age: float | None = None) -> Sequence[FindModel]:
        """Return the models, at most `max_age` seconds old; older ones while the database is unavailable.

        Raises:
            Unavailable: The database has not been reached yet.
        """
        started = time.monotonic()
        if max_age is None:
            max_age = CACHED_SECONDS if self._models else RETRY_SECONDS
        if started > self._read_at + max_age:
            try:
                self._models = await self._threads.run(self._read)
            except Unavailable:
                if self._read_at == float("-inf"):
                    raise
            else:
                self._read_at = started
        return self._models

    async def check(self, specs: Mapping[str, BlurSpec]) -> None:
        """Check that everything that these specs ask for can be found; each has its path in the request.

        Raises:
            InvalidArgument: With a violation for each thing that no worker can find.
            Unavailable: As of `list`.
        """
        finds = {
            f"{path}.find[{index}]".lstrip("."): find
            for path, spec in specs.items()
            for index, find in enumerate(spec.find)
        }
        if not finds or not _violations(finds, await self.list()):
            return
        if violations := _violations(finds, await self.list(max_age=RETRY_SECONDS)):
            raise InvalidArgument(*violations)

    def _read(self) -> Sequence[FindModel]:
        with self._database.read() as session:
            return find_models.list_available(session)


def _violations(finds: Mapping[str, Find], models: Sequence[FindModel]) -> list[Violation]:
    found = []
    for path, find in finds.items():
        names = [model.name for model in models if model.kind == find.kind]
        if find.kind is FindingKind.CUSTOM:
            if find.model not in names:
                there = f"there are {', '.join(names)}" if names else "there are none"
                found.append(Violation(f"{path}.model", f"no worker has a custom model named {find.model}: {there}"))
        elif not names:
            message = f"no worker can find {_BUILT_IN[find.kind]}: install the extra find where the blur workers run"
            found.append(Violation(f"{path}.kind", message))
        elif find.model and find.model not in names:
            found.append(Violation(f"{path}.model", f"no worker has this model: there are {', '.join(names)}"))
    return found
