"""Each text of the pages is used: by its key, or by one that a page composes, such as `t('state_' ~ state)`."""

import re
from pathlib import Path

from services.web.http.languages import load_texts

SERVICES = Path(__file__).parents[3] / "services"


def read(folder: Path, *patterns: str) -> str:
    return "\n".join(path.read_text("utf-8") for pattern in patterns for path in sorted(folder.rglob(pattern)))


def test_every_text_is_used() -> None:
    pages = read(SERVICES / "web", "*.py", "*.html", "*.js")
    quoted = set(re.findall(r"""["'`](\w+)["'`]""", pages))
    begins = set(re.findall(r"""["'](\w+_)["'] ~""", pages)) | set(re.findall(r"""["'`](\w+_)\$?\{""", pages))
    begins |= {outer + inner for outer in begins for inner in begins}
    ends = {"", *re.findall(r"""(?:[~(] ?["']|\})(_\w+)["'`]""", pages)}
    # What is between them is a value: a name of some service, such as a state, a field, a file or a status of HTTP.
    values = quoted | set(re.findall(r"\w+", read(SERVICES, "*.py").replace(".", "_").lower()))
    values |= set(re.findall(r"\w+", read(SERVICES, "*.py").lower()))

    def is_used(key: str) -> bool:
        # The renderer of operators' pages and `translate` of the scripts add these.
        short = key.removeprefix("operator_").removeprefix("js_")
        forms = {form.removesuffix(end) for form in (key, short) for end in ends}
        return bool(quoted & forms) or any(
            form.startswith(begin) and form.removeprefix(begin) in values
            for form in forms
            for begin in begins - {"operator_", "js_"}
        )

    texts = load_texts("en").by_key
    unused = sorted(key for key in texts if not is_used(key))
    assert len(texts) > 500
    assert not unused, " ".join(unused)
