"""What operators search for, kept in this process's memory: URLs, and so logs and histories, contain no address."""

import secrets
from collections import OrderedDict

MAX_TERMS = 5000


class SearchTerms:
    """Terms by random tokens, which stand for them in URLs.

    Beyond `MAX_TERMS`, the least recently used is forgotten.
    """

    def __init__(self) -> None:
        self._terms: OrderedDict[str, str] = OrderedDict()

    def remember(self, term: str) -> str:
        """Return a token for a term; empty for an empty one."""
        if not term:
            return ""
        token = secrets.token_urlsafe(12)
        self._terms[token] = term
        while len(self._terms) > MAX_TERMS:
            self._terms.popitem(last=False)
        return token

    def get(self, token: str) -> str | None:
        """Return the term of a token; None if it is not known, for example after a restart."""
        term = self._terms.get(token)
        if term is not None:
            self._terms.move_to_end(token)
        return term
