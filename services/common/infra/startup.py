"""How every service starts: a wrong setting ends it with a sentence that names the setting, not with a traceback."""

import os
import sys
from collections.abc import Callable

from services.common.domain.errors import ConfigurationError


def run(main: Callable[[], None]) -> None:
    """Run a service's main; exits with 78 (EX_CONFIG: do not restart me) where a setting is wrong."""
    try:
        main()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        sys.exit(os.EX_CONFIG)
