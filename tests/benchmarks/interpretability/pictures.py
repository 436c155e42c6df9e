"""A network's channels beside sparse features of them and beside a network of random weights, on natural images.

Two sets: patches of pictures that scikit-image and scikit-learn bring, dictionaries learned on half of the pictures and
scored on the other half, twice; and the 640 images shown to macaque V4. Judges that no code is made of: a second
network (EfficientNet-lite1) for the patches, the recorded units for the V4 images, and Gabor energy.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neurosparse import DictionaryLearning, activations, population
from neurosparse.backend.psychophysics import as_sparse, gabor_energy
from neurosparse.comparison import near_duplicate_stimuli
from neurosparse.networks import pretrained
from neurosparse.study import Study, load_responses
from tests.benchmarks.interpretability.common import measured, rows, stimuli_population, turned
from tests.benchmarks.interpretability.head_direction import folder

NAMES = [
    "astronaut",
    "brick",
    "camera",
    "cell",
    "chelsea",
    "clock_motion",
    "coffee",
    "coins",
    "grass",
    "gravel",
    "hubble_deep_field",
    "ihc",
    "moon",
    "motorcycle_left",
    "retina",
    "rocket",
]
SIDE, PATCHES = 64, 24
LAYER, N_ATOMS = "_blocks.10", 50
KINDS = ("channels", "channels, thresholded", "sparse features", "features rotated", "principal components")
V4 = "cowley_v4_210325.nwb"


def pictures() -> dict[str, np.ndarray]:
    """Natural pictures (row, column, channel) from the packages themselves, nothing fetched."""

    import skimage
    from skimage.io import imread
    from sklearn.datasets import load_sample_images

    home = Path(skimage.__file__).parent / "data"
    found = {}
    for name in NAMES:
        path = next(home.glob(f"{name}.*"))
        image = imread(path)
        image = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
        found[name] = image[..., :3].astype(np.uint8)
    both = load_sample_images()
    return found | {str(name): image for name, image in zip(("china", "flower"), both.images, strict=True)}


def patches(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """24 patches of 64 x 64 from places of a grid of each picture, and the picture that each is of."""
    rng, cut, source = np.random.default_rng(seed), [], []
    for number, image in enumerate(pictures().values()):
        places = [(r, c) for r in range(image.shape[0] // SIDE) for c in range(image.shape[1] // SIDE)]
        for k in rng.choice(len(places), PATCHES, replace=False):
            r, c = places[k]
            cut.append(image[r * SIDE : (r + 1) * SIDE, c * SIDE : (c + 1) * SIDE])
            source.append(number)
    return np.stack(cut), np.array(source)


@cache
def _network(name: str, weights: str, seed: int) -> Any:
    return pretrained(name, weights=weights, random_state=seed)


def channels(
    images: Any, name: str = "efficientnet-lite0", weights: str = "pretrained", seed: int = 0, layer: str = LAYER
) -> np.ndarray:
    """Spatial means of a layer's channels, (stimulus, channel)."""
    module, preprocess = _network(name, weights, seed)
    found = activations(module, images, [layer], preprocess=preprocess, pool="mean", device="cpu", progress=False)
    return found[layer].values.astype(np.float64)


def features(learned: np.ndarray, scored: np.ndarray, seed: int, kinds: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Channels, sparse features learned on other stimuli, the features turned, and components of matched sparsity."""
    scale = np.maximum(learned.std(axis=0), 1e-9)
    train, test = learned / scale, scored / scale
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learner = DictionaryLearning(N_ATOMS, n_restarts=2, random_state=seed, device="cpu").fit(train)
        codes = np.asarray(learner.transform(test), dtype=np.float64)
    share = float((codes > 0).mean())
    _, _, right = np.linalg.svd(train - train.mean(axis=0), full_matrices=False)
    components = (test - train.mean(axis=0)) @ right[:N_ATOMS].T
    every = {
        "channels": test,
        "channels, thresholded": as_sparse(test, share),
        "sparse features": codes,
        "features rotated": turned(xr.DataArray(codes), seed).values,
        "principal components": as_sparse(components, share),
    }
    return {name: every[name] for name in kinds}


def _turns(groups: np.ndarray, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Half of the groups learns and half is scored, both ways."""
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    first = np.isin(groups, names[: len(names) // 2])
    yield np.flatnonzero(first), np.flatnonzero(~first)
    yield np.flatnonzero(~first), np.flatnonzero(first)


def scored_sets(
    raw: np.ndarray,
    judges: dict[str, np.ndarray],
    groups: np.ndarray,
    scores: tuple[str, ...],
    kinds: tuple[str, ...],
    seed: int,
    **asked: Any,
) -> dict[str, dict[str, list[Any]]]:
    """{judge: {representation: [draws of each turn]}}."""
    found: dict[str, dict[str, list[Any]]] = {judge: {} for judge in judges}
    for turn, (learned, test) in enumerate(_turns(groups, 0)):
        for name, values in features(raw[learned], raw[test], seed, kinds).items():
            for judge, embedding in judges.items():
                draws = measured(
                    stimuli_population(values, test),
                    scores,
                    draws=(5, 100),
                    seed=turn,
                    stimulus_similarity=stimuli_population(embedding[test], test),
                    groups=groups[test],
                    **asked,
                )
                found[judge].setdefault(name, []).append(draws)
    return found


def compared(
    task: str,
    images: Any,
    judges: dict[str, np.ndarray],
    groups: np.ndarray,
    scores: tuple[str, ...],
    n_random: int,
    **asked: Any,
) -> list[dict[str, Any]]:
    """Rows of the trained network's sets and of those of random weights (all networks together), gains over the trained
    channels, and of sparse features over the channels thresholded to their sparsity."""
    every = scored_sets(channels(images), judges, groups, scores, KINDS, 0, **asked)
    for seed in range(n_random):
        raw = channels(images, weights="random", seed=seed)
        for judge, sets in scored_sets(raw, judges, groups, scores, KINDS[:3], seed, **asked).items():
            for name, parts in sets.items():
                every[judge].setdefault(f"random weights: {name}", []).extend(parts)
    found = []
    for judge, sets in every.items():
        pair = {name: sets[name] for name in KINDS[1:3]}
        above = rows(f"{task}, gain over thresholded channels", pair, KINDS[1], scores)
        found += [{"judge": judge, **each} for each in rows(task, sets, KINDS[0], scores) + above[1::2]]
    return found


def natural(n_random: int = 5) -> list[dict[str, Any]]:
    """Patches: near-duplicates and bootstrap by source picture, so that no task compares two patches of one picture.

    A task needs four pictures, and its sides (a quarter of the patches) hold enough of them also in a bootstrap sample
    of nine pictures; of the top twentieth, which comes from one or two, it could not be drawn.
    """
    images, source = patches()
    judges = {
        "lite1": channels(images, "efficientnet-lite1", layer="_conv_head"),
        "gabor": gabor_energy(images.mean(axis=3)),
    }
    return compared("patches", images, judges, source, ("mis",), n_random, n_explanations=1, n_tasks=50, quantile=0.25)


def v4_images(n_random: int = 5) -> list[dict[str, Any]]:
    trials, images = load_responses(Study(str(folder() / V4), stimulus="image_index"))
    images = images.sortby("stimulus")
    responses = population.average(trials).sortby("stimulus")
    judges = {
        "V4 units": responses.values.astype(float),
        "gabor": gabor_energy(images.values.astype(float).mean(axis=3)),
    }
    groups = np.asarray(near_duplicate_stimuli(images))
    return compared("V4 images", images, judges, groups, ("mis", "monosemanticity", "intrusion"), n_random)
