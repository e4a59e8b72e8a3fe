"""A program for test_launching: `python -m tests.integration.stack.launched WHAT`."""

import atexit
import os
import signal
import sys

import psutil


def main() -> None:
    match sys.argv[1]:
        case "show":
            atexit.register(print, "at its exit")
            print(sys.argv[1:])
            print(os.environ["ONLY_HERE"])
            if os.getpid() == os.getpgid(0):
                print("leads its group")
            print(" ".join(psutil.Process().cmdline()))
            print("to standard error", file=sys.stderr)
        case "exit":
            sys.exit(78)
        case "raise":
            raise ValueError("not caught")
        case "signal":
            os.kill(os.getpid(), signal.SIGTERM)
        case "wait":
            print("waiting")
            signal.pause()


if __name__ == "__main__":
    main()
