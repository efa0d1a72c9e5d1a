"""A notebook as a job: papermill in a process of its own. The source is never touched. Needs papermill."""

import contextlib
import os
from pathlib import Path
from typing import Any

from snapml_lab.errors import CellFailedError
from snapml_lab.jobs.events import Reporter
from snapml_lab.jobs.queue import payload_folder
from snapml_lab.store.files import read_json, replace_json
from snapml_lab.tracking.shell import CELL_FILE, NOTEBOOK

OUTPUTS = "outputs.json"
INJECTED = "injected-parameters"
"""The tag papermill gives to the cell it adds."""
EXPECTED = "raises-exception"
"""The tag of a cell that may raise: the notebook goes on."""


def run(spec: dict[str, Any], report: Reporter) -> dict[str, Any]:
    """Run the notebook of ``spec`` (source, output, html, parameters) and return what it put out.

    Where it goes is relative to the job's artifacts; ``notebook`` is the one that runs are of, where the source is a copy.

    Raises:
        CellFailedError: naming the cell, its id, and what it raised.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError

    folder = payload_folder()
    cell_file = folder.path / "cell.json"
    os.environ[CELL_FILE] = str(cell_file)
    os.environ[NOTEBOOK] = spec.get("notebook", spec["source"])
    source, output, html = (
        Path(spec["source"]),
        folder.artifacts / spec["output"],
        folder.artifacts / spec["html"],
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    papermill.engines.papermill_engines.register("snapml", _engine(report, cell_file))
    try:
        papermill.execute_notebook(
            str(source), str(output), parameters=spec["parameters"], engine_name="snapml", cwd=str(source.parent),
            progress_bar=False, log_output=True, kernel_name="python3", language="python",
        )  # fmt: skip
    except papermill.PapermillExecutionError as error:
        raise _failed(cell_file, f"raised {error.ename}: {error.evalue}", source, output) from None
    except DeadKernelError:
        raise _failed(cell_file, "ended its kernel (was memory short?)", source, output) from None
    finally:
        if output.is_file():
            write_html(output, html)
            sign(output)
    return {
        "outputs": read_json(folder.path / OUTPUTS) or {},
        "notebook": str(output),
        "html": str(html),
    }


def put_out(name: str, value: Any) -> bool:
    """Keep an output of the notebook this kernel runs in; False where it is not run by a pipeline."""
    if CELL_FILE not in os.environ:
        return False
    path = Path(os.environ[CELL_FILE]).parent / OUTPUTS
    replace_json(path, {**(read_json(path) or {}), name: value})
    return True


def write_html(notebook: Path, html: Path) -> None:
    """Render a notebook as one HTML file that loads nothing from anywhere."""
    from nbconvert.exporters import HTMLExporter

    exporter = HTMLExporter(
        template_name="lab",
        require_js_url="",
        mathjax_url="",
        jquery_url="",
        mermaid_js_url="",
        widget_renderer_url="",
    )
    content, _ = exporter.from_filename(str(notebook))
    html.write_text(content, "utf-8")


def sign(notebook: Path) -> None:
    """Trust a notebook this account has just run, as Jupyter does on saving; it shows charts of trusted ones only."""
    import nbformat
    from nbformat.sign import NotebookNotary

    with contextlib.suppress(OSError):
        NotebookNotary().sign(nbformat.read(notebook, as_version=4))


def _engine(report: Reporter, cell_file: Path) -> type:
    from papermill.engines import NBClientEngine

    class ReportingEngine(NBClientEngine):  # type: ignore[misc]
        """Runs cells as papermill does, and says which one is running."""

        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
            cells = nb_man.nb.cells
            begin = nb_man.cell_start

            def cell_start(cell: Any, cell_index: int | None = None, **more: Any) -> Any:
                index = cell_index or 0
                number = sum(INJECTED not in item.metadata.get("tags", ()) for item in cells[: index + 1])
                replace_json(cell_file, {"cell_id": cell.get("id"), "source": cell.source, "number": number})
                report.progress(
                    index / max(len(cells), 1),
                    f"cell {index + 1} of {len(cells)}: {_first_line(cell.source)}",
                )
                return begin(cell, cell_index, **more)

            nb_man.cell_start = cell_start
            complete = nb_man.cell_complete

            def cell_complete(cell: Any, *arguments: Any, **more: Any) -> Any:
                if EXPECTED in cell.metadata.get("tags", ()):
                    cell.outputs = [_said(output) for output in cell.get("outputs", [])]
                return complete(cell, *arguments, **more)

            nb_man.cell_complete = cell_complete
            return super().execute_managed_notebook(nb_man, kernel_name, **options)

    return ReportingEngine


def _said(output: Any) -> Any:
    """Write an error that is expected as text: papermill takes any error in the outputs for the notebook's."""
    if output.output_type != "error":
        return output
    from nbformat.v4 import new_output

    return new_output("stream", name="stderr", text="\n".join(output.traceback) + "\n")


def _failed(cell_file: Path, how: str, source: Path, output: Path) -> CellFailedError:
    """Name the cell that was running: its number in the source, its first line, its id."""
    cell = read_json(cell_file) or {"number": 1, "source": "", "cell_id": None}
    identifier = f", id {cell['cell_id']}" if cell["cell_id"] else ""
    return CellFailedError(
        f"Cell {cell['number']} of {source.name} ({_first_line(cell['source'])!r}{identifier}) {how}",
        fix=f"Look at it in {output}, mend {source.name}, and run again.",
    )


def _first_line(source: str) -> str:
    line = next(
        (line.strip() for line in source.splitlines() if line.strip() and not line.lstrip().startswith("#")),
        "",
    )
    return line if len(line) <= 50 else line[:49] + "…"
