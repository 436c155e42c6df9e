"""A comparison as one self-contained HTML page: the result and finished figures enter, a file leaves."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from neurosparse.files import write_whole

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 16px/1.55 system-ui, sans-serif; color: #1f2937; }}
body {{ max-width: 62rem; margin: 2.5rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.15rem; margin-top: 2.2rem; }}
table {{ border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .3rem .7rem; border-bottom: 1px solid #e5e7eb; text-align: right; }}
th:first-child, td:first-child {{ text-align: left; }}
.wide {{ overflow-x: auto; }} img {{ max-width: 100%; }}
pre {{ background: #f8fafc; padding: 1rem; overflow-x: auto; font-size: .85rem; }}
</style>
<h1>{title}</h1>
{body}
</html>
"""


def write_report(
    path: str | os.PathLike[str],
    *,
    title: str,
    findings: Sequence[str],
    tables: Mapping[str, pd.DataFrame],
    figures: Mapping[str, Figure],
    settings: str,
) -> None:
    """Write one HTML page that needs no other file and no network.

    Parameters
    ----------
    path : path-like
        The page to write, whole or not at all.
    title : str
        Its heading.
    findings : sequence of str
        Sentences, the answers first.
    tables : mapping of heading to pandas.DataFrame
        Numbers are shown to three significant digits; missing ones as a dash.
    figures : mapping of heading to matplotlib Figure
        Embedded as PNG.
    settings : str
        The settings used, shown as they are.
    """
    parts = ["<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in findings) + "</ul>"]
    for heading, figure in figures.items():
        parts += [f"<h2>{html.escape(heading)}</h2>", f'<img alt="{html.escape(heading)}" src="{_embedded(figure)}">']
    for heading, table in tables.items():
        shown = table.to_html(float_format="{:.3g}".format, na_rep="–", border=0, escape=True)
        parts += [f"<h2>{html.escape(heading)}</h2>", f'<div class="wide">{shown}</div>']
    parts += ["<h2>Settings</h2>", f"<pre>{html.escape(settings)}</pre>"]
    with write_whole(path) as temporary:
        temporary.write_text(_PAGE.format(title=html.escape(title), body="\n".join(parts)), encoding="utf-8")


def _embedded(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130, bbox_inches="tight")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
