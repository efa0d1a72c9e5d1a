"""``%%snapml budget 0.50``: what the cell spends stops at that amount; the cell itself runs as any other, also where it awaits.

The first line becomes a call that opens the budget, and the shell's own event after the cell closes it.
"""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

_LINE = re.compile(r"%%snapml\s+budget\s+(\S+)\s*$")
_OPEN = "_snapml_open_budget"


def attend(shell: Any) -> None:
    """Have a shell know the cell magic."""

    def transform(lines: list[str]) -> list[str]:
        found = _LINE.match(lines[0]) if lines else None
        return lines if found is None else [f"{_OPEN}({found[1]!r})\n", *lines[1:]]

    def begin(amount: str) -> None:
        from snapml_lab.commands.budgets import CellBudget
        from snapml_lab.errors import InvalidInputError

        try:
            dollars = Decimal(amount.strip("$"))
        except InvalidOperation as error:
            raise InvalidInputError.of("budget", amount, "dollars, as 0.50") from error
        made = CellBudget(dollars)

        def close(*_: Any) -> None:
            shell.events.unregister("post_run_cell", close)
            made.__exit__()
            print(made.sentence())  # noqa: T201 - said under the cell

        made.__enter__()
        shell.events.register("post_run_cell", close)

    shell.input_transformers_cleanup.append(transform)
    shell.user_ns_hidden[_OPEN] = shell.user_ns[_OPEN] = begin
