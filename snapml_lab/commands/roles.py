"""Commands about who may do what."""

from snapml_lab.commands.core import Call, command
from snapml_lab.governance import roles
from snapml_lab.governance.roles import Effect, Role
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace


class RoleView(View):
    """A person's role, where it is known from, and which effects of commands it allows."""

    name: str
    role: Role
    source: str
    allows: list[Effect]

    @classmethod
    def of(cls, found: roles.Standing) -> "RoleView":
        """Read a standing."""
        allows = [effect for effect in Effect if roles.may(found.role, effect)]
        return cls(name=found.name, role=found.role, source=found.source, allows=allows)

    def text(self) -> str:
        """Two lines."""
        return f"{self.name}: {self.role} ({self.source})\n  may {', '.join(self.allows)}"

    def row(self) -> list[str]:
        """The cells of one line of a list."""
        return [self.name, self.role, self.source]


class RoleList(View):
    """Who has which role; ``open`` where none is declared and whoever comes is an admin."""

    roles: list[RoleView]
    open: bool

    def text(self) -> str:
        """A table."""
        return "\n".join([text_table(_HEADER, [item.row() for item in self.roles]), self._others()])

    def html(self) -> str:
        """A table."""
        table = html_table(_HEADER, [item.row() for item in self.roles])
        return framed(table, f"<div class=dim>{self._others()}</div>")

    def _others(self) -> str:
        return (
            "No role is declared: whoever comes is an admin." if self.open else "Everybody else is a viewer."
        )


_HEADER = ["who", "role", "known from"]


@command("roles list", effect=Effect.READ)
def list_roles(ws: Workspace) -> RoleList:
    """List who has which role."""
    declared = roles.declared(ws)
    names = [*sorted(roles.owners(ws)), *(name for name in declared if name not in roles.owners(ws))]
    return RoleList(roles=[RoleView.of(roles.standing(ws, name)) for name in names], open=not declared)


@command("roles show", effect=Effect.READ)
def show(ws: Workspace, name: str | None = None, *, call: Call) -> RoleView:
    """Show who you are here, or who another person is: the role, where it is known from, and what it allows.

    Args:
        name: another person.
    """
    return RoleView.of(roles.standing(ws, call.actor if name is None else roles.check_name(name)))


@command("roles set", effect=Effect.ADMIN)
def set_role(ws: Workspace, name: str, role: Role, *, call: Call) -> RoleView:
    """Give a person a role; with the first one, everybody without one becomes a viewer.

    Args:
        name: the person, as the Jupyter server's identity provider names them.
        role: viewer (looks), developer (changes and runs), approver (decides, too), admin (all).
    """
    return RoleView.of(roles.declare(ws, name, role, by=call.actor))


@command("roles remove", effect=Effect.ADMIN)
def remove(ws: Workspace, name: str, *, last: bool = False) -> RoleView:
    """Take a person's role away: they are a viewer then.

    Args:
        name: the person.
        last: also where it is the last one declared; whoever comes is an admin then.
    """
    return RoleView.of(roles.withdraw(ws, name, last=last))
