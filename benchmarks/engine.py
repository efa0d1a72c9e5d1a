"""A stand-in for an engine on a Unix socket: answers each completion at once. ``python engine.py SOCKET``."""

import asyncio
import json
import sys

_REPLY = json.dumps({
    "id": "x", "object": "chat.completion", "created": 1, "model": "inner",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
}).encode()  # fmt: skip
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
    % (len(_REPLY), _REPLY)
)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    await reader.readexactly(int(lines[0].partition(b":")[2]) if lines else 0)
    writer.write(_ANSWER)
    await writer.drain()
    writer.close()


async def _serve(path: str) -> None:
    server = await asyncio.start_unix_server(_answer, path)
    print("up", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
