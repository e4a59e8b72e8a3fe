"""`python -m services.common.infra.health_probe PORT`: check a service by its metrics page (container health check)."""

import re
import sys
import urllib.request

_AWAY = re.compile(rb'^imageblur_dependency_up\{dependency="(.+?)"\} 0', re.MULTILINE)


def main() -> None:
    """Ends with 0 if it answers and reaches what it needs, else with 1 and a word."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"http://127.0.0.1:{int(sys.argv[1])}/metrics", timeout=3) as answer:
            away = _AWAY.findall(answer.read())
    except (OSError, ValueError, IndexError) as error:
        sys.exit(f"does not answer: {error}")
    if away:
        sys.exit(f"away: {b', '.join(away).decode()}")


if __name__ == "__main__":
    main()
