import pytest

from services.common.domain.mailboxes import MailboxHasher, mailbox_of


@pytest.mark.parametrize(
    ("address", "mailbox"),
    [
        ("ann@example.org", "ann@example.org"),
        ("Ann@EXAMPLE.org", "ann@example.org"),
        ("ann+a+b@example.org", "ann@example.org"),
        ("a.n.n@example.org", "a.n.n@example.org"),
        ("A.n.n+x@GoogleMail.com", "ann@gmail.com"),
        ("a-n_n.x@pm.me", "annx@proton.me"),
        ("+ann@example.org", "+ann@example.org"),
        ("...@gmail.com", "...@gmail.com"),
        ("STRASSE@example.org", "strasse@example.org"),
        ("ａｎｎ@example.org", "ann@example.org"),
    ],
)
def test_an_address_in_any_spelling_is_one_mailbox(address: str, mailbox: str) -> None:
    assert mailbox_of(address) == mailbox
    assert mailbox_of(mailbox) == mailbox


def test_a_hash_is_found_under_former_keys_and_by_nobody_without_them() -> None:
    before, after = MailboxHasher("k" * 40), MailboxHasher("n" * 40, "k" * 40)
    assert before.hash("Ann@example.org") == before.hash("ann+x@example.org")
    assert after.hash("ann@example.org") != before.hash("ann@example.org")
    assert before.hash("ann@example.org") in after.hashes("ann@example.org")
    assert before.hash("ann@example.org") != before.hash("bob@example.org")
