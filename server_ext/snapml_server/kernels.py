"""Tells each kernel who started it, where the server knows people: the kernel itself runs as the account.

So what is made in a notebook has its author, who may not approve it, and a viewer's notebook changes nothing by mistake. It
guards against mistakes alone: code in a kernel can write every file of the account.
"""

import functools
import os
from typing import Any

from snapml_lab.errors import InvalidInputError


def attend(manager: Any, identities: Any) -> None:
    """Have a kernel manager of Jupyter's name who asks in the environment of each kernel it starts."""
    from jupyter_core.utils import ensure_async

    start = manager.start_kernel

    @functools.wraps(start)
    async def start_kernel(*args: Any, **options: Any) -> Any:
        person = _person(identities)
        if person is not None:
            from snapml_lab.governance.roles import PERSON

            options["env"] = {**(options.get("env") or os.environ), PERSON: person}
        return await ensure_async(start(*args, **options))

    manager.start_kernel = start_kernel


def _person(identities: Any) -> str | None:
    """Return who makes the request that is being answered; None where nobody does, or people are not known."""
    from jupyter_server.base.call_context import CallContext

    from snapml_lab.governance.roles import check_name
    from snapml_server.handlers import named

    handler = CallContext.get(CallContext.JUPYTER_HANDLER)
    if handler is None or not named(identities):
        return None
    try:
        return check_name(str(handler.current_user.username))
    except (AttributeError, InvalidInputError):
        return None
