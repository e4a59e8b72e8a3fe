"""Why a stack does not start or go on, as one sentence and an exit code."""

import os


class StackError(Exception):
    """The stack cannot serve; the text is for the person at the terminal."""

    exit_code = 1


class SettingError(StackError):
    """A setting is wrong, and starting again would not help."""

    exit_code = os.EX_CONFIG
