"""What the README says of recordings, run as it is printed."""

from pathlib import Path

import numpy as np
import pytest
from nwb_parts import rois, series, trials, units

pytest.importorskip("dask")
README = Path(__file__).resolve().parents[2] / "README.md"


def test_recordings_give_what_the_readme_says(write_nwb, tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    angles, contrasts = np.tile([0.0, 90.0, np.nan], 4), np.tile([0.5, 1.0, np.nan], 4)
    frames = rng.random((300, 3)) + 10
    write_nwb(
        units([np.sort(rng.uniform(0, 30, 150 + 10 * i)) for i in range(3)], quality=["good", "noise", "good"]),
        trials(2.0 * np.arange(12), orientation=angles, contrast=contrasts),
        rois(frames, 3, name="raw"),
        rois(np.full((300, 3), 2.0), 3, name="neuropil"),
        series("speed", np.repeat([0.0, 10.0], 150), rate=10.0),
    )
    monkeypatch.chdir(tmp_path)
    code = README.read_text(encoding="utf-8").split("<!-- recordings -->\n```python\n")[1].split("```")[0]
    made = {}
    exec(code, made)
    assert "neuropil" in capsys.readouterr().out
    assert made["first_look"].sizes["unit"] == 3
    assert made["rates"]["unit_id"].values.tolist() == [0, 2]
    assert 14.94 < float(made["running"]["time"].min()) < 15  # half way from standing to running
    assert sorted(set(made["responses"]["stimulus"].values)) == [
        "blank",
        "orientation=0, contrast=0.5",
        "orientation=90, contrast=1",
    ]
    assert made["X"].shape == (12, 3)
    assert len(set(made["groups"])) == 3
    corrected = frames - 0.7 * 2
    dff = made["dff"]
    assert hasattr(dff.data, "dask")
    assert dff.shape == (12, 20, 3)
    base = np.percentile(corrected[:300], 8, axis=0)
    np.testing.assert_allclose(dff[6], (corrected[120:140] - base) / base, atol=0.01)
