"""The filter of the list of orders: in the URL, so that it can be kept, shared, and gone back to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from imageblur.v1 import operator_pb2, order_pb2

from services.web.enums import value_of
from services.web.operator.search_terms import SearchTerms
from services.web.operator.time_filter import TimeFilter

STATES = ("queued", "running", "succeeded", "partially_failed", "failed", "cancelled", "expired")
_SHORT_ID = re.compile(r"[0-9a-f]{4,32}")


@dataclass(frozen=True, kw_only=True)
class OrderFilters:
    """The filter as a form or a URL has it."""

    state: str = ""
    short_id: str = ""
    """The beginning of an order's id."""
    address: str = ""
    """A part of an address."""
    address_token: str = ""
    """Replaces `address` in URLs."""
    principal: str = ""
    time: TimeFilter = field(default_factory=TimeFilter)

    @classmethod
    def of(cls, values: Mapping[str, object], terms: SearchTerms) -> "OrderFilters":
        """Return the filter of a form or a URL."""
        state, token = str(values.get("state", "")), str(values.get("q", ""))
        address = terms.get(token) or ""
        return cls(
            state=state if state in STATES else "",
            short_id=find_short_id(str(values.get("id", ""))),
            address=address,
            address_token=token if address else "",
            principal=str(values.get("principal", ""))[:100],
            time=TimeFilter.of(values),
        )

    @property
    def search(self) -> str:
        """What the search field shows."""
        return self.short_id or self.address

    @property
    def active(self) -> bool:
        """Whether the filter leaves orders out."""
        return any(self.query.values())

    @property
    def query(self) -> dict[str, str]:
        """The filter as query parameters: never with an address."""
        return {
            "state": self.state,
            "id": self.short_id,
            "q": self.address_token,
            "principal": self.principal,
        } | self.time.query

    @property
    def criteria(self) -> operator_pb2.OrderFilter:
        """The filter as the gateway takes it."""
        begin, end = self.time.span(datetime.now(UTC))
        criteria = operator_pb2.OrderFilter(
            order_id_prefix=self.short_id,
            email_part=self.address,
            principal=self.principal,
            from_time=begin,
            to_time=end,
        )
        if state := value_of(order_pb2.OrderState, self.state):
            criteria.states.append(state)
        return criteria


def find_short_id(text: str) -> str:
    """Return the beginning of an id, as lists show it or people write it; empty if the text is none."""
    shortened = text.strip().rstrip("….").replace("-", "").lower()
    return shortened if _SHORT_ID.fullmatch(shortened) else ""
