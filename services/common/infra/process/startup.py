"""How every service starts: with a wrong setting it ends with a message that names the setting, without a traceback."""

import os
import sys
from collections.abc import Callable

from services.common.domain.errors import ConfigurationError
from services.common.infra.process.descriptors import raise_limit


def run(main: Callable[[], None]) -> None:
    """Run a service's main; exit with 78 (EX_CONFIG, no restart) if a setting is wrong."""
    raise_limit()
    try:
        main()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        sys.exit(os.EX_CONFIG)
