"""``%snapml`` and ``%%snapml``: registered as stubs, for what they need is imported when one is first used."""

from typing import Any


def register(shell: Any) -> None:
    """Add the magics, their completion, and what tells which notebook and cell is running.

    Args:
        shell: the IPython shell that is loading the extension.
    """
    from snapml_magics import budget, front_end

    def snapml(line: str, cell: str | None = None) -> Any:
        """Run a SnapML command: %snapml automl DATA --target COLUMN. See them all: %snapml --help."""
        from snapml_magics.magic import run

        return run(shell, line, cell)

    def complete(_shell: Any, event: Any) -> list[str]:
        from snapml_magics.completion import complete_line

        return complete_line(shell, event.line)

    setattr(snapml, "_ipython_magic_no_var_expand", True)  # noqa: B010 - what @no_var_expand sets, without its import
    shell.register_magic_function(snapml, "line_cell")
    shell.set_hook("complete_command", complete, str_key="%snapml")
    shell.set_hook("complete_command", complete, str_key="snapml")
    budget.attend(shell)
    front_end.attend(shell)
