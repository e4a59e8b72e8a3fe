"""How the pages name their visitor."""

import pytest

from services.common.infra.signing.visitors import ADDRESS, PROOF, VisitorProof, counted_address

PAGES = VisitorProof("s" * 32)


def test_only_who_knows_the_secret_names_a_visitor() -> None:
    sent = PAGES.metadata("192.0.2.1")
    assert PAGES.address(sent) == "192.0.2.1"
    assert VisitorProof("t" * 32).address(sent) is None
    assert VisitorProof(None).address(sent) is None
    assert VisitorProof(None).metadata("192.0.2.1") == ()
    proof = dict(sent)[PROOF]
    for forged in ([], [(ADDRESS, "192.0.2.2"), (PROOF, proof)], [(ADDRESS, "192.0.2.1")], [(PROOF, proof)]):
        assert PAGES.address(forged) is None


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", None),
        ("unknown", None),
    ],
)
def test_a_visitor_is_an_address_or_a_network(address: str, counted: str | None) -> None:
    assert counted_address(address) == counted
