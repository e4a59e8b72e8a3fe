import pytest
from imageblur_client.channel import address


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("localhost", "localhost:50051"),
        ("blur.example.org:443", "blur.example.org:443"),
        ("[::1]", "[::1]:50051"),
        ("[::1]:7000", "[::1]:7000"),
        ("unix:/run/imageblur.sock", "unix:/run/imageblur.sock"),
        ("dns:///blur.example.org:7000", "dns:///blur.example.org:7000"),
    ],
)
def test_a_server_without_a_port_gets_ours(given: str, meant: str) -> None:
    assert address(given) == meant
