"""Running a command for REST: in a thread, or in a child process where it imports large libraries."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from snapml_lab import errors
from snapml_lab.commands.core import Call, Surface
from snapml_lab.commands.dispatch import dispatch
from snapml_lab.governance import audit
from snapml_lab.governance.roles import role_of
from snapml_lab.workspace import open_workspace

_CHILDREN = asyncio.Semaphore(2)


def in_thread(start: Path, name: str, arguments: dict[str, Any], actor: str) -> str:
    """Run a command and return its result as JSON."""
    result = dispatch(open_workspace(start), name, arguments, Call(Surface.REST, actor=actor))
    return str(result.model_dump_json())


def refuse(start: Path, name: str, actor: str) -> None:
    """Record that the server's own authorizer did not let a command begin."""
    ws = open_workspace(start)
    audit.refused(
        ws, actor=actor, role=role_of(ws, actor), surface=Surface.REST, command=name, arguments={},
        code=errors.NotAllowedError.code,
    )  # fmt: skip


async def in_child(start: Path, name: str, arguments: dict[str, Any], actor: str) -> str:
    """Run a command in a process of its own and return its result as JSON.

    Raises:
        SnapmlError: as the command raised it.
        RuntimeError: the child died; its last words are in the message.
    """
    asked = json.dumps({"start": str(start), "name": name, "arguments": arguments, "actor": actor}).encode()
    async with _CHILDREN:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "snapml_server.execution", cwd=start,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            answer, said = await child.communicate(asked)
        except asyncio.CancelledError:
            child.kill()
            raise
    if child.returncode == 2:
        raise errors.from_dict(json.loads(answer))
    if child.returncode:
        raise RuntimeError(
            f"the child for {name!r} ended with {child.returncode}: {said.decode(errors='replace')[-2000:]}"
        )
    return answer.decode()


def main() -> int:
    """Be the child: read what is asked, write the answer."""
    asked = json.load(sys.stdin)
    try:
        answer = in_thread(Path(asked["start"]), asked["name"], asked["arguments"], asked["actor"])
    except errors.SnapmlError as error:
        sys.stdout.write(json.dumps(error.as_dict()))
        return 2
    sys.stdout.write(answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
