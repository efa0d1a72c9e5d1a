"""What jobs of more than one test file run."""

UNTIL_GO = "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.01)\n"
"""Waits for a file ``go`` in the project's folder."""
