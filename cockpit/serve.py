"""The cockpit in a browser: textual-serve, on this machine's loopback alone, for whoever has the address with its token.

textual-serve asks nobody who they are. Other people on the machine can reach its port, and so can any page that the
browser shows; so every request must come with a token that only the terminal has seen, and under a local name.
"""

import asyncio
import secrets
import shlex
import sys
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

HOST = "127.0.0.1"
LOCAL_NAMES = {"127.0.0.1", "localhost"}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LocalServer(Server):
    """One cockpit for each browser tab."""

    def __init__(self, port: int, *, read_only: bool) -> None:
        argv = [sys.executable, "-P", "-m", "cockpit", *(["--read-only"] if read_only else [])]
        super().__init__(
            shlex.join(argv), HOST, port, title="tunedeck", public_url=f"http://localhost:{port}"
        )
        self.token = secrets.token_urlsafe(24)

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"{self.public_url}/?token={self.token}"

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard)
        return app

    async def on_startup(self, app: web.Application) -> None:
        """Textual-serve's greeting has no token in it."""

    def serve(self, debug: bool = False) -> None:
        """Until ctrl+c. OSError when the port is taken."""
        web.run_app(
            self._make_app(), host=self.host, port=self.port, print=None, loop=asyncio.new_event_loop()
        )

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        # A page elsewhere can send a browser here under its own name, or with its own origin.
        names = [f"//{request.host}", request.headers.get("Origin", f"//{HOST}")]
        if any(urlsplit(name).hostname not in LOCAL_NAMES for name in names):
            raise web.HTTPForbidden(text="this address is served to this machine alone\n")
        cookie = f"tunedeck-{self.port}"
        if secrets.compare_digest(request.query.get("token", "").encode(), self.token.encode()):
            response = web.HTTPSeeOther("/")
            response.set_cookie(cookie, self.token, httponly=True, samesite="Strict")
            raise response
        if not secrets.compare_digest(request.cookies.get(cookie, "").encode(), self.token.encode()):
            raise web.HTTPForbidden(text="open the address that `tunedeck serve` has printed\n")
        return await handler(request)
