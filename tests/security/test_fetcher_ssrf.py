"""`avatar_url` is no way into this computer or its network: the table of refusals.

No test opens a connection to anywhere but a server of its own on loopback.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path

import httpcore
import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import InputError
from backend.utils.addresses import Resolver, is_public
from backend.utils.fetcher import fetch_image, system_resolver
from tests.unit.utils.test_fetcher import LOCAL, names_in, picture, reply, resolves_here, serving

PUBLIC = "93.184.215.14"


class NoDialing(httpcore.AsyncNetworkBackend):
    """Fails the test when anything is dialled, and remembers what."""

    def __init__(self) -> None:
        self.dialled: list[str] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.dialled.append(host)
        raise httpcore.ConnectError(f"dialled {host}:{port} {timeout} {local_address} {socket_options}")


class Detour(httpcore.AsyncNetworkBackend):
    """A network that leads every connection to a local port: a rebound name, a transparent proxy."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        assert (host, port) == (PUBLIC, 80)
        return await self._inner.connect_tcp("127.0.0.1", self._port, timeout, local_address, socket_options)


def _answers(*addresses: str) -> Resolver:
    async def resolve(host: str, port: int) -> list[str]:
        assert host
        assert port
        return list(addresses)

    return resolve


async def _code(url: str, folder: Path, **options: object) -> ErrorCode:
    with pytest.raises(InputError) as caught:
        await fetch_image(url, folder / "given", **options)  # type: ignore[arg-type]
    assert caught.value.hint
    assert names_in(folder) == []
    return caught.value.code


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.com/a.png",
        "gopher://example.com/a",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "ws://example.com/",
        "//example.com/a.png",
        "example.com/a.png",
        "http:example.com",
        "http:///a.png",
        "http://",
        "",
        " http://example.com/",
        "http://example.com/a b.png",
        "http://example.com\\@127.0.0.1/",
        "http://example.com/\r\nHost: evil",
        "http://example.com/\x00",
        "http://user@example.com/",
        "http://user:password@example.com/",
        "http://example.com@127.0.0.1/",
        "http://exa%6dple.com/",
        "http://%6cocalhost/",
        "http://[::1%25eth0]/",
        "http://[fe80::1%25lo]/",
        "http://[::1/",
        "http://example.com:99999/",
        "http://example.com:port/",
        "http://a..b/",
        "http://" + "a" * 300 + ".com/",
        "http://example.com/" + "a" * 3000,
        "http://exa mple.com/",
        "http://-/",
        "http://*.example.com/",
    ],
)
async def test_addresses_of_a_wrong_shape_are_refused_before_any_lookup(tmp_path: Path, url: str) -> None:
    backend = NoDialing()

    async def resolve(host: str, port: int) -> list[str]:
        pytest.fail(f"looked up {host}:{port}")

    assert await _code(url, tmp_path, resolver=resolve, backend=backend) is ErrorCode.FETCH_REFUSED
    assert backend.dialled == []


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.1",
            "017700000001",
            "0177.0.0.1",
        ),
        *(
            "127.0.0.1.",
            "127.255.255.254",
            "0",
            "0.0.0.0",
            "0x0",
            "00",
            "1",
            "１２７.０.０.１",
            "127。0。0。1",
        ),
        *(
            "10.0.0.1",
            "10.255.255.255",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "0xc0a80101",
            "3232235777",
        ),
        *("169.254.169.254", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "169.254.170.2"),
        *("100.64.0.1", "100.100.100.200", "100.127.255.255", "168.63.129.16", "192.0.0.192"),
        *("192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "192.88.99.1"),
        *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
        *("[::]", "[::1]", "[0:0:0:0:0:0:0:1]", "[::127.0.0.1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
        *("[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]", "[::ffff:93.184.215.14]"),
        *(
            "[fe80::1]",
            "[fec0::1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[ff02::1]",
            "[2001:db8::1]",
            "[3fff::1]",
        ),
        *(
            "①②⑦.⓪.⓪.①",
            "127.0.0.1\u3002",
            "①27.0.0.1",
            "[::ffff:0:127.0.0.1]",
            "[0:0:0:0:0:ffff:7f00:1]",
            "[::7f00:1]",
        ),
        *("[2002:7f00:1::]", "[2002:a9fe:a9fe::]", "[2001:0:7f00:1::]", "[2001::1]"),
        *("[64:ff9b::7f00:1]", "[64:ff9b::169.254.169.254]", "[64:ff9b:1::a00:1]", "[100::1]", "[5f00::1]"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_private_addresses_are_refused_in_every_spelling(
    tmp_path: Path, host: str, scheme: str
) -> None:
    backend = NoDialing()
    url = f"{scheme}://{host}:8000/latest/meta-data/"
    assert await _code(url, tmp_path, backend=backend) is ErrorCode.FETCH_REFUSED
    assert backend.dialled == []


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "::1", "::"),
        *("::ffff:127.0.0.1", "fe80::1", "fe80::1%eth0", "fc00::1", "2002:7f00:1::", "2001:0:7f00:1::"),
        *("64:ff9b::7f00:1", "ff02::1", "not an address", ""),
    ],
)
async def test_a_name_that_leads_into_a_private_network_is_refused(tmp_path: Path, address: str) -> None:
    backend = NoDialing()
    code = await _code("http://innocent.example/", tmp_path, resolver=_answers(address), backend=backend)
    assert code is ErrorCode.FETCH_REFUSED
    assert backend.dialled == []


@pytest.mark.parametrize(
    "addresses", [(PUBLIC, "127.0.0.1"), ("10.0.0.1", PUBLIC), (PUBLIC, "2606:4700::1111", "::1")]
)
async def test_one_private_address_among_public_ones_refuses_them_all(
    tmp_path: Path, addresses: tuple[str, ...]
) -> None:
    backend = NoDialing()
    code = await _code("http://mixed.example/", tmp_path, resolver=_answers(*addresses), backend=backend)
    assert code is ErrorCode.FETCH_REFUSED
    assert backend.dialled == []


async def test_the_system_s_own_name_for_this_computer_is_refused(tmp_path: Path) -> None:
    assert "127.0.0.1" in await system_resolver("localhost", 80)
    backend = NoDialing()
    for url in ("http://localhost:8000/", "http://LOCALHOST/", "http://localhost./"):
        assert await _code(url, tmp_path, backend=backend) is ErrorCode.FETCH_REFUSED
    assert backend.dialled == []


async def test_the_connection_goes_to_the_addresses_that_were_checked_and_to_no_name(tmp_path: Path) -> None:
    backend = NoDialing()
    resolver = _answers(PUBLIC, "2606:4700::1111")
    code = await _code("https://portraits.example/", tmp_path, resolver=resolver, backend=backend)
    assert code is ErrorCode.FETCH_FAILED
    assert backend.dialled == [PUBLIC, "2606:4700::1111"]


async def test_a_name_is_looked_up_once_so_a_second_answer_has_no_effect(tmp_path: Path) -> None:
    asked = 0

    async def rebinding(host: str, port: int) -> list[str]:
        nonlocal asked
        assert (host, port) == ("rebind.example", 80)
        asked += 1
        return [PUBLIC] if asked == 1 else ["127.0.0.1"]

    backend = NoDialing()
    await _code("http://rebind.example/", tmp_path, resolver=rebinding, backend=backend)
    assert asked == 1
    assert backend.dialled == [PUBLIC]


async def test_a_connection_that_ends_up_elsewhere_is_closed_before_a_byte_is_sent(tmp_path: Path) -> None:
    async with serving(reply(picture())) as (port, heads):
        code = await _code("http://a.example/", tmp_path, resolver=_answers(PUBLIC), backend=Detour(port))
        await asyncio.sleep(0.05)
    assert code is ErrorCode.FETCH_REFUSED
    assert heads in ([], ["the client hung up"])


@pytest.mark.parametrize(
    "location",
    [
        *("http://127.0.0.2/", "http://169.254.169.254/latest/", "http://[::1]/", "http://0x7f.1/"),
        *("file:///etc/passwd", "ftp://pictures.example/", "http://user@pictures.example/", "//10.0.0.1/x"),
        *("http://inside.example/", "http://localhost/"),
    ],
)
async def test_a_redirect_is_checked_like_the_first_address(tmp_path: Path, location: str) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["10.0.0.7"] if host == "inside.example" else await resolves_here(host, port)

    async with serving(reply(b"", "302 Found", Location=location)) as (port, heads):
        code = await _code(
            f"http://pictures.example:{port}/",
            tmp_path,
            resolver=resolve,
            allow_addresses=LOCAL,
        )
    assert code is ErrorCode.FETCH_REFUSED
    assert len(heads) == 1


async def test_proxies_of_the_environment_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(reply(picture())) as (proxy_port, proxy_heads):
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy_port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with serving(reply(picture())) as (port, heads):
            url = f"http://pictures.example:{port}/"
            await fetch_image(url, tmp_path / "given", allow_addresses=LOCAL, resolver=resolves_here)
    assert proxy_heads == []
    assert len(heads) == 1


async def test_a_proxy_that_the_operator_names_is_used(tmp_path: Path) -> None:
    async with serving(reply(picture())) as (port, heads):
        await fetch_image(
            "http://pictures.example/a.png", tmp_path / "given", proxy=f"http://127.0.0.1:{port}"
        )
    assert heads[0].startswith("GET http://pictures.example/a.png HTTP/1.1")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "169.254.169.254", "localhost", "nas", "nas.local", "0x7f.1"]
)
async def test_even_through_a_proxy_what_is_plainly_private_is_refused(tmp_path: Path, host: str) -> None:
    async with serving(reply(picture())) as (port, heads):
        code = await _code(f"http://{host}/", tmp_path, proxy=f"http://127.0.0.1:{port}")
    assert code is ErrorCode.FETCH_REFUSED
    assert heads == []


async def test_https_sends_the_name_for_the_certificate_although_it_dials_an_address(tmp_path: Path) -> None:
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda _socket, name, _context: names.append(name)

    def accept(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, pytest.raises(ssl.SSLError):  # it has no certificate to show
            context.wrap_socket(connection, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        server = asyncio.create_task(asyncio.to_thread(accept, listener))
        url = f"https://portraits.example:{listener.getsockname()[1]}/"
        code = await _code(url, tmp_path, allow_addresses=LOCAL, resolver=resolves_here)
        await server
    assert code is ErrorCode.FETCH_FAILED
    assert names == ["portraits.example"]


async def test_a_resolver_that_never_answers_ends_at_the_deadline(tmp_path: Path) -> None:
    async def silent(host: str, port: int) -> list[str]:
        await asyncio.sleep(3600)
        return [host, str(port)]

    assert (
        await _code("http://slow.example/", tmp_path, resolver=silent, timeout_s=0.2)
        is ErrorCode.FETCH_FAILED
    )


@pytest.mark.parametrize("failure", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label")])
async def test_a_name_that_does_not_exist_is_a_failure_not_a_refusal(
    tmp_path: Path, failure: Exception
) -> None:
    async def missing(host: str, port: int) -> list[str]:
        raise failure

    assert await _code("http://absent.example/", tmp_path, resolver=missing) is ErrorCode.FETCH_FAILED
    assert await _code("http://absent.example/", tmp_path, resolver=_answers()) is ErrorCode.FETCH_FAILED


async def test_an_operator_may_let_the_own_network_in(tmp_path: Path) -> None:
    async with serving(reply(picture())) as (port, _):
        await fetch_image(f"http://127.0.0.1:{port}/", tmp_path / "given", allow_private=True)
    assert (tmp_path / "given").stat().st_size > 0


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", PUBLIC, "172.15.255.255", "172.32.0.1", "100.63.255.255", "2606:4700::1111", "2a00::1"],
)
def test_addresses_of_the_open_internet_are_public(address: str) -> None:
    assert is_public(address)


async def test_errors_tell_neither_the_address_found_nor_the_secrets_of_the_url(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        await fetch_image(
            "http://a.example/?token=hunter2", tmp_path / "given", resolver=_answers("10.11.12.13")
        )
    told = f"{caught.value.detail} {caught.value.hint}"
    assert "10.11.12.13" not in told
    assert "hunter2" not in told
