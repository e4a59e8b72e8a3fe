"""The fleet's stack: `python -m tests.faults.supervised PLAN`, with PLAN as tests.integration.stack.driver takes it."""

import sys

from services.stack.supervision import backoff
from tests.integration.stack.driver import main

if __name__ == "__main__":
    # A service that is killed in one case after the other would be away for half a minute in the end.
    backoff.LONGEST_DELAY = backoff.FIRST_DELAY
    sys.exit(main())
