import ipaddress

import pytest

from services.common.domain.addresses import BadUrl, is_allowed, parse_networks, parse_url

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
INNER = [
    "127.0.0.1",
    "127.255.0.3",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.3.4",
    "192.168.1.1",
    "169.254.169.254",  # metadata of AWS, GCP, Azure
    "168.63.129.16",  # Azure's platform, though public
    "100.100.100.200",  # metadata of Alibaba
    "192.0.0.192",  # metadata of Oracle
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",  # metadata of AWS
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",  # Teredo of 127.0.0.1
    "fe80::1%1",
]


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_allowed(text: str) -> None:
    assert is_allowed(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", INNER)
def test_inner_addresses_are_not_allowed(text: str) -> None:
    assert not is_allowed(ipaddress.ip_address(text))


def test_an_operator_can_allow_networks() -> None:
    allowed = parse_networks("10.1.0.0/16, fd00::/8")
    for text in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1", "8.8.8.8"):
        assert is_allowed(ipaddress.ip_address(text), allowed), text
    for text in ("10.2.0.1", "127.0.0.1", "::1", "fe80::1", "fd00::1%1"):
        assert not is_allowed(ipaddress.ip_address(text), allowed), text


@pytest.mark.parametrize(
    ("text", "host", "port", "target"),
    [
        ("https://example.org", "example.org", 443, "/"),
        ("https://Example.ORG:8443/a/b?c=d%20e", "example.org", 8443, "/a/b?c=d%20e"),
        ("https://[2606:2800:220:1::1]/x", "2606:2800:220:1::1", 443, "/x"),
        ("https://93.184.216.34/", "93.184.216.34", 443, "/"),
        ("https://xn--bcher-kva.example/?q", "xn--bcher-kva.example", 443, "/?q"),
        ("https://a_b.example:443/", "a_b.example", 443, "/"),
    ],
)
def test_urls_are_accepted(text: str, host: str, port: int, target: str) -> None:
    url = parse_url(text)
    assert (url.host, url.port, url.target) == (host, port, target)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://example.org/", "must begin with https://"),
        ("file:///etc/passwd", "must begin with https://"),
        ("ftp://example.org/", "must begin with https://"),
        ("gopher://example.org/", "must begin with https://"),
        ("//example.org/", "must begin with https://"),
        ("example.org", "must begin with https://"),
        ("", "must begin with https://"),
        ("https://", "no valid host"),
        ("https:///path", "no valid host"),
        ("https://user@example.org/", "user name"),
        ("https://user:secret@example.org/", "user name"),
        ("https://example.org@127.0.0.1/", "user name"),
        ("https://example.org/#here", "fragment"),
        ("https://example.org:22/", "port 22"),
        ("https://example.org:25/", "port 25"),
        ("https://example.org:80/", "port 80"),
        ("https://example.org:0/", "port 0"),
        ("https://example.org:99999/", "not a URL"),
        ("https://example.org:x/", "not a URL"),
        ("https://2130706433/", "number as its host"),
        ("https://127.1/", "number as its host"),
        ("https://0177.0.0.1/", "number as its host"),
        ("https://0x7f.0.0.1/", "number as its host"),
        ("https://0x7f000001/", "number as its host"),
        ("https://127.0.0.1./", "number as its host"),
        ("https://1.2.3.4.5/", "number as its host"),
        ("https://[::1%25lo]/", "not an IPv6"),
        ("https://[::1/", "not a URL"),
        ("https://[v1.x]/", "not a"),
        ("https://exa mple.org/", "percent-encoded"),
        ("https://example.org\\@127.0.0.1/", "percent-encoded"),
        ("https://example.org/\r\nHost: x", "percent-encoded"),
        ("https://bücher.example/", "xn--"),
        ("https://-a.example/", "no valid host"),
        ("https://a..b/", "no valid host"),
        ("https://example.org/" + "a" * 2048, "longer than"),
    ],
)
def test_other_urls_are_refused_with_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(BadUrl, match=message):
        parse_url(text)


def test_the_text_of_a_url_is_without_its_query() -> None:
    assert str(parse_url("https://example.org:8443/hook?token=secret")) == "https://example.org:8443/hook"
