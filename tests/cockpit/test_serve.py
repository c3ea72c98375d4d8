"""The cockpit in a browser: for whoever has the token, under a local name, and for nobody else."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest


@pytest.fixture
def address(home: Path) -> Iterator[str]:
    """What `tunedeck serve` prints."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [sys.executable, "-P", "-m", "cockpit", "serve", "--read-only", "--port", str(port)]
    environment = os.environ | {"TUNEDECK_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as served:
        assert served.stdout is not None
        yield served.stdout.readline().strip()
        served.terminate()


async def answer(address: str, **headers: str) -> int:
    """The status, tried again until the server listens."""
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(address, headers=headers, allow_redirects=False) as response:
                    return response.status
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.05)


async def shown(address: str, text: bytes) -> bytes:
    """What the terminal in the browser is sent, up to a text."""
    base, _, _ = address.partition("/?")
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(address) as page:
            assert page.status == 200
        async with session.ws_connect(f"{base}/ws?width=80&height=24") as line:
            sent = b""
            while text not in sent:
                message = await line.receive(timeout=60)
                assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), message
                sent += message.data if isinstance(message.data, bytes) else b""
            return sent


def test_a_browser_with_the_token_gets_the_cockpit(address: str) -> None:
    async def visit() -> bytes:
        await answer(address)
        return await shown(address, b"No jobs yet")

    assert b"looks only" in asyncio.run(visit())


def test_without_the_token_or_from_elsewhere_there_is_nothing(address: str) -> None:
    base, _, token = address.partition("/?token=")

    async def ask() -> list[int]:
        return [
            await answer(address),
            await answer(base),
            await answer(f"{base}/ws"),
            await answer(f"{base}/?token={token[:-1]}"),
            await answer(f"{base}/static/js/textual.js"),
            await answer(base, Cookie=f"tunedeck-{base.rpartition(':')[2]}={token}", Host="evil.example"),
            await answer(
                f"{base}/ws",
                Cookie=f"tunedeck-{base.rpartition(':')[2]}={token}",
                Origin="http://evil.example",
            ),
        ]

    assert asyncio.run(ask()) == [303, *[403] * 6]
    assert len(token) >= 32


def test_it_listens_on_loopback_alone(address: str) -> None:
    asyncio.run(answer(address))
    port = int(address.partition("/?")[0].rpartition(":")[2])
    listening = [
        line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if line.split()[3] == "0A"
    ]

    assert f"0100007F:{port:04X}" in listening
    assert f"00000000:{port:04X}" not in listening
