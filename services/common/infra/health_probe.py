"""`python -m services.common.infra.health_probe PORT`: check a service by its metrics page (container health check)."""

import re
import sys
import urllib.request

_DOWN = re.compile(rb'^imageblur_dependency_up\{dependency="(.+?)"\} 0', re.MULTILINE)


def main() -> None:
    """Exit with 0 if the service answers and reaches its dependencies, else with 1 and a message."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"http://127.0.0.1:{int(sys.argv[1])}/metrics", timeout=3) as answer:
            down = _DOWN.findall(answer.read())
    except (OSError, ValueError, IndexError) as error:
        sys.exit(f"does not answer: {error}")
    if down:
        sys.exit(f"unavailable: {b', '.join(down).decode()}")


if __name__ == "__main__":
    main()
