"""What every meter behind HTTP does when the network, the meter or the address is bad."""

from __future__ import annotations

import hashlib
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from emulated.meter_server import Asked, MeterServer, Sent
from perwatt.core.errors import SensorUnavailableError
from perwatt.sensors.http_meter import HttpMeter
from perwatt.sensors.http_meter_address import parse_address
from perwatt.sensors.http_meter_auth import Credentials, credentials_from
from tests.sensors.real_time import until


@pytest.fixture
def server() -> Iterator[MeterServer]:
    with MeterServer(lambda asked: Sent('{"watts": 7.5}')) as server:
        yield server


def meter_at(server: MeterServer, options: str = "") -> HttpMeter:
    return HttpMeter(parse_address("shelly", f"{server.host}{options}"))


def test_an_answer_lies_between_its_marks(server: MeterServer) -> None:
    meter = meter_at(server)
    before = time.monotonic_ns()
    answer = meter.get("/x")
    after = time.monotonic_ns()
    meter.close()
    assert meter.json(answer, dict[str, float]) == {"watts": 7.5}
    assert before <= answer.sent_ns <= answer.t_ns <= answer.received_ns <= after
    assert answer.t_ns - answer.clock_error_ns <= answer.sent_ns
    assert answer.t_ns + answer.clock_error_ns >= answer.received_ns


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("hang", "did not answer within 0.2 s"),
        ("drip", "did not answer within 0.2 s"),
        ("garbage", "does not speak HTTP"),
        ("cut", "was cut off in the middle"),
        ("huge", "sent more than 8 MiB"),
        ("redirect", "points to another address"),
        (401, "asks for a password (401)"),
        (404, "answered /x with 404 Not Found"),
        (500, "answered /x with 500 Internal Server Error"),
    ],
)
def test_each_fault_is_one_sentence_in_bounded_time(
    server: MeterServer, fault: str | int, sentence: str
) -> None:
    server.fault = fault
    meter = meter_at(server, "?timeout=0.2" if fault in ("hang", "drip") else "")
    begun = time.monotonic()
    with pytest.raises(SensorUnavailableError) as caught:
        meter.get("/x?password=hunter2")
    assert time.monotonic() - begun < 20  # it would hang for 30
    assert sentence in caught.value.message
    assert server.host in caught.value.message
    assert caught.value.mend
    assert "hunter2" not in str(caught.value)
    server.fault = None

    def goes_on() -> bool:
        with suppress(SensorUnavailableError):  # 0.2 s may be little on a busy machine
            return bool(meter.get("/x").body)
        return False

    until(goes_on)
    meter.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate")
def test_a_certificate_is_checked_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {cert} -days 2"
    more = ["-subj", "/CN=bmc", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*make.split(), *more], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with MeterServer(lambda asked: Sent("1"), tls=context) as server:
        url = f"https://{server.host}"
        meter = HttpMeter(parse_address("redfish", url))
        with pytest.raises(
            SensorUnavailableError, match="certificate that cannot be checked"
        ) as no:
            meter.get("/")
        assert "SSL_CERT_FILE" in (no.value.mend or "")
        assert "?verify=0" in (no.value.mend or "")
        meter.close()
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        trusting = HttpMeter(parse_address("redfish", url))
        assert trusting.get("/").body == b"1"
        trusting.close()
        monkeypatch.delenv("SSL_CERT_FILE")
        careless = HttpMeter(parse_address("redfish", f"{url}?verify=0"))
        assert [careless.get("/").body for _ in range(2)] == [b"1", b"1"]
        server.fault = "hang"
        hurried = HttpMeter(parse_address("redfish", f"{url}?verify=0&timeout=0.2"))
        with pytest.raises(SensorUnavailableError, match="did not answer"):
            hurried.get("/")
        careless.close()


def test_nobody_there_and_no_such_host() -> None:
    with socket.socket() as nobody:  # bound, so that nobody else comes to listen there
        nobody.bind(("127.0.0.1", 0))
        meter = HttpMeter(parse_address("shelly", f"127.0.0.1:{nobody.getsockname()[1]}"))
        with pytest.raises(SensorUnavailableError, match="refuses connections"):
            meter.get("/")


def test_a_connection_that_the_meter_closed_is_opened_anew(server: MeterServer) -> None:
    meter = meter_at(server)
    meter.get("/1")
    server.drop_connections()
    time.sleep(0.05)
    assert meter.get("/2").body
    meter.close()


def test_a_redirect_on_the_same_host_is_followed() -> None:
    def answer(asked: Asked) -> Sent:
        if asked.path == "/old":
            return Sent("", 308, (("Location", "/new?a=1"),))
        return Sent(f'"{asked.path} {asked.query}"')

    with MeterServer(answer) as server:
        meter = meter_at(server)
        assert meter.get("/old").body == b"\"/new {'a': '1'}\""
        meter.close()


def test_abandoned_it_returns_at_once(server: MeterServer) -> None:
    import threading

    server.fault = "hang"
    meter = meter_at(server, "?timeout=60")
    timer = threading.Timer(0.1, meter.abandon)
    timer.start()
    begun = time.monotonic()
    with pytest.raises(SensorUnavailableError):
        meter.get("/")
    assert time.monotonic() - begun < 20
    timer.join()
    meter.close()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "The sensor shelly needs an address. Name it: --sensors shelly:HOST"),
        ("", "needs an address"),
        ("http://", "is no address of a meter"),
        ("ftp://host", "is no address of a meter"),
        ("host:notaport", "is no address of a meter"),
        ("a host", "is no address of a meter"),
        ("host?pase=2", "has no option 'pase'. Known: domain, period, timeout, verify"),
    ],
)
def test_a_bad_address_is_told_with_the_mend(text: str | None, sentence: str) -> None:
    with pytest.raises(SensorUnavailableError) as caught:
        parse_address("shelly", text)
    assert sentence in str(caught.value)


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(SensorUnavailableError) as caught:
        parse_address("redfish", "https://root:hunter2@bmc")
    assert "hunter2" not in str(caught.value)
    assert "PERWATT_REDFISH_PASSWORD" in str(caught.value)


def test_addresses_and_options_are_read() -> None:
    address = parse_address("dcgm", "http://[::1]:9400/metrics/?period=0.5&domain=a%20b")
    assert (address.host, address.port, address.path) == ("::1", 9400, "/metrics")
    assert address.options == {"period": "0.5", "domain": "a b"}
    assert address.shown == "http://[::1]:9400"
    assert address.loopback
    assert parse_address("redfish", "bmc", scheme="https").port == 443
    assert parse_address("dcgm", "node", port=9400).port == 9400
    with pytest.raises(SensorUnavailableError, match="period=9999 is not usable"):
        parse_address("dcgm", "node?period=9999").number("period", 1, 0.05, 60)


def test_digest_is_that_of_rfc_7616(monkeypatch: pytest.MonkeyPatch) -> None:
    """The RFC's own example (section 3.9.1), its client nonce put in below our code."""
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    monkeypatch.setattr("secrets.token_hex", lambda n: cnonce)
    challenge = (
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    credentials = Credentials("Mufasa", "Circle of Life", "X", basic=False)
    header = credentials.answer(["Basic realm=x", challenge], "GET", "/dir/index.html")
    assert header is not None
    assert 'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"' in header
    assert 'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"' in header


def test_an_old_digest_without_qop_uses_md5() -> None:
    credentials = Credentials("u", "p", "X", basic=False)
    header = credentials.answer(['Digest realm="r", nonce="n"'], "GET", "/")
    secret = hashlib.md5(b"u:r:p").hexdigest()
    asked = hashlib.md5(b"GET:/").hexdigest()
    wanted = hashlib.md5(f"{secret}:n:{asked}".encode()).hexdigest()
    assert header is not None
    assert f'response="{wanted}"' in header


@pytest.mark.parametrize("challenge", ["Digest", "Digest nonsense", "Digest realm=r", "Bearer x"])
def test_a_challenge_that_cannot_be_met_is_not_answered(challenge: str) -> None:
    assert Credentials("u", "p", "X", basic=True).answer([challenge], "GET", "/") is None


def test_basic_is_sent_only_where_it_may_travel_readable() -> None:
    assert Credentials("u", "p", "X", basic=False).answer(["Basic realm=x"], "GET", "/") is None
    sent = Credentials("u", "p", "X", basic=True).answer(["Basic realm=x"], "GET", "/")
    assert sent == "Basic dTpw"


def test_no_repr_shows_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    assert credentials_from("shelly", "admin", basic=True) is None
    monkeypatch.setenv("PERWATT_SHELLY_PASSWORD", "hunter2")
    credentials = credentials_from("shelly", "admin", basic=True)
    assert "hunter2" not in repr(credentials)
    assert "PERWATT_SHELLY_PASSWORD" in repr(credentials)
