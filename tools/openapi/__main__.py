"""`python -m tools.openapi` prints the document; `make protos` writes it."""

from tools.openapi.document import make_document, to_text

print(to_text(make_document()), end="")
