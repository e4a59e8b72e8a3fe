"""`python -m services.stack`: everything on this machine, until Ctrl-C."""

import asyncio
import sys

from pydantic import ValidationError

from services.stack.errors import SettingError, StackError
from services.stack.serving import serve
from services.stack.settings import StackSettings, describe


def main() -> int:
    """Serve; 0 after Ctrl-C, 78 when a setting is wrong, 1 for other reasons not to."""
    try:
        return asyncio.run(serve(StackSettings()))
    except ValidationError as error:
        print(describe(error), file=sys.stderr)
        return SettingError.exit_code
    except StackError as error:
        print(error, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
