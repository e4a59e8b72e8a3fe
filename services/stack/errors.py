"""Errors that end the stack: one sentence for the terminal and an exit code."""

import os


class StackError(Exception):
    """The stack cannot start or continue; the text is for the person at the terminal."""

    exit_code = 1


class SettingError(StackError):
    """A setting is wrong, so a restart would not help."""

    exit_code = os.EX_CONFIG
