"""The least a gateway with a bill can do, with the libraries ours has: how far there is to the limit.

A key is hashed and looked up, an amount is reserved in one SQLite transaction (WAL), the request is relayed, and what it used is
settled in another; streams are passed on as they come. ``python relay.py LEDGER UPSTREAM_PORT KEY`` prints the port it listens on.
"""

import asyncio
import hashlib
import json
import sqlite3
import sys
import time

import uvloop
from aiohttp import ClientSession, TCPConnector, web

_RESERVED = 1_000_000
_PER_TOKEN = 1_000


class _Relay:
    def __init__(self, ledger: str, upstream: int, key: str) -> None:
        self.upstream = f"http://127.0.0.1:{upstream}/v1/chat/completions"
        self.ledger = sqlite3.connect(ledger, isolation_level=None)
        self.ledger.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
            "CREATE TABLE keys (hash TEXT PRIMARY KEY, name TEXT);"
            "CREATE TABLE requests (id INTEGER PRIMARY KEY, key TEXT, at REAL, held INTEGER, tokens INTEGER, cost INTEGER);"
            "CREATE TABLE budget (spent INTEGER, held INTEGER); INSERT INTO budget VALUES (0, 0);"
        )
        self.ledger.execute(
            "INSERT INTO keys VALUES (?, 'bench')", (hashlib.sha256(key.encode()).hexdigest(),)
        )

    async def start(self) -> int:
        """Listen; return the port."""
        self.session = ClientSession(connector=TCPConnector(limit=0))
        made = web.Application()
        made.add_routes([web.post("/v1/chat/completions", self._complete)])
        runner = web.AppRunner(made, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        return int(runner.addresses[0][1])

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        row = self.ledger.execute(
            "SELECT name FROM keys WHERE hash = ?", (hashlib.sha256(token.encode()).hexdigest(),)
        ).fetchone()
        if row is None:
            return web.Response(status=401)
        content = await request.read()
        body = json.loads(content)
        held = self._reserve(row[0])
        headers = {"Content-Type": "application/json"}
        async with self.session.post(self.upstream, data=content, headers=headers) as answer:
            if not body.get("stream"):
                whole = await answer.read()
                self._settle(held, json.loads(whole)["usage"]["completion_tokens"])
                return web.Response(body=whole, content_type="application/json")
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            last = b""
            async for piece in answer.content.iter_any():
                last = (last + piece)[-4096:]
                await response.write(piece)
            await response.write_eof()
            told = last[last.rindex(b"data: {") : last.rindex(b"data: [DONE]")]
            self._settle(held, json.loads(told.removeprefix(b"data: "))["usage"]["completion_tokens"])
            return response

    def _reserve(self, name: str) -> int:
        run = self.ledger.execute
        run("BEGIN IMMEDIATE")
        run("UPDATE budget SET held = held + ?", (_RESERVED,))
        made = run("INSERT INTO requests (key, at, held) VALUES (?, ?, ?)", (name, time.time(), _RESERVED))
        run("COMMIT")
        assert made.lastrowid is not None
        return made.lastrowid

    def _settle(self, request: int, tokens: int) -> None:
        run = self.ledger.execute
        cost = tokens * _PER_TOKEN
        run("BEGIN IMMEDIATE")
        run("UPDATE budget SET held = held - ?, spent = spent + ?", (_RESERVED, cost))
        run("UPDATE requests SET held = 0, tokens = ?, cost = ? WHERE id = ?", (tokens, cost, request))
        run("COMMIT")


async def _serve(ledger: str, upstream: int, key: str) -> None:
    print(await _Relay(ledger, upstream, key).start(), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
