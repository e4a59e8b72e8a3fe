"""Options that several commands share, and that together make one value."""

import inspect
from collections.abc import Callable
from typing import Any

Command = Callable[..., Any]


def takes(name: str, make: Callable[..., Any]) -> Callable[[Command], Command]:
    """Return a decorator: a command takes the options of `make`, all by keyword, in place of its parameter `name`."""
    options = inspect.signature(make).parameters

    def decorate(command: Command) -> Command:
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            found = options.values() if parameter.name == name else [parameter]
            parameters += [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in found]

        def run(**values: Any) -> Any:
            made = make(**{option: values.pop(option) for option in options})
            return command(**{name: made}, **values)

        run.__doc__, run.__name__ = command.__doc__, command.__name__
        # What typer reads.
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate
