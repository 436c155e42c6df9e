"""The page says what it was given, whole, and escapes what it must."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import pandas as pd
import pytest
from matplotlib.figure import Figure

from neurosparse.report import write_report


def test_a_page_holds_findings_tables_figures_and_settings(tmp_path: Path) -> None:
    figure = Figure(figsize=(1, 1))
    figure.subplots().plot([0, 1])
    write_report(
        tmp_path / "page.html",
        title="V4 & lite0",
        findings=["r is .5 <unless> not"],
        tables={"Rows": pd.DataFrame({"r": [0.123456, float("nan")]}, index=["a<b", "c"])},
        figures={"Scores": figure},
        settings='pool = 4\nname = "<x>"',
    )
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<h1>V4 &amp; lite0</h1>" in page
    assert "r is .5 &lt;unless&gt; not" in page
    assert "0.123</td>" in page
    assert "–</td>" in page
    assert "a&lt;b" in page
    assert page.count("data:image/png;base64,") == 1
    assert "name = &quot;&lt;x&gt;&quot;" in page


def test_a_page_that_cannot_be_made_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    with pytest.raises(AttributeError):
        write_report(path, title=None, findings=[], tables={}, figures={}, settings="")  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]
