"""The tutorials run from top to bottom, are paired with their text, and keep to the size of a page."""

from __future__ import annotations

from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

from neurosparse.files import packaged

NOTEBOOKS = sorted(packaged("tutorials").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> nbformat.NotebookNode:
    return nbformat.read(request.param, as_version=4)


# ipykernel and zmq warn of their own loop and frozen modules; not ours to mend.
@pytest.mark.filterwarnings("ignore")
def test_it_runs(notebook: nbformat.NotebookNode, tmp_path: Path) -> None:
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.get("name") == "stderr"
    ]
    # The learner warns of more atoms than units, and the notebook says why that is right.
    assert all("EvidenceWarning" in output["text"] for output in printed if "Warning" in output["text"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_paired_with_its_text(path: Path) -> None:
    text = jupytext.read(path.with_suffix(".py"))
    cells = nbformat.read(path, as_version=4).cells
    assert [(cell.cell_type, cell.source) for cell in text.cells] == [(cell.cell_type, cell.source) for cell in cells]


def test_it_is_short_and_explains_itself(notebook: nbformat.NotebookNode) -> None:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(notebook.cells) <= 35
    assert len(code) <= len(notebook.cells) * 0.55
    assert all(cell.source.count("\n") < 16 for cell in code)
    assert not any("def " in cell.source for cell in code)
    assert notebook.cells[0].source.splitlines()[0].endswith("?"), "the title asks the question"
    assert notebook.cells[-1].cell_type == "markdown"
