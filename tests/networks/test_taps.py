"""Tapped layers: what they answered, what they are called, and a module left as it was found."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import xarray as xr
from torch import nn
from xarray.backends import BackendArray
from xarray.core import indexing

from neurosparse import population
from neurosparse.backend.devices import resolve_device
from neurosparse.errors import InputError, MissingError
from neurosparse.networks import activations


class Block(nn.Module):
    """Two convolutions, one rectifier that runs twice, and a rectifier that overwrites its input."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 5, 3)
        self.norm = nn.BatchNorm2d(5)
        self.second = nn.Conv2d(5, 4, 3)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.second(self.relu(self.norm(self.first(x)))))


class SmallNet(nn.Module):
    """A block, then vectors; it says how often it ran to the end, and fails where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block()])
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4 * 8 * 8, 7)
        self.unused = nn.Linear(2, 2)
        self.register_buffer("seen", torch.zeros(()))
        self.ends = 0
        self.fails_on = None
        self.batches = 0

    def forward(self, x):
        self.batches += 1
        self.seen += len(x)  # a buffer changed in place
        x = self.blocks[0](x)
        if self.batches == self.fails_on:
            raise ZeroDivisionError("the network broke")
        x = self.head(self.drop(x).view(len(x), -1))
        torch.rand(1)
        self.ends += 1
        return x


@pytest.fixture
def net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = SmallNet()
        # Statistics that make training and evaluation mode differ.
        net.blocks[0].norm.running_mean += torch.linspace(-1, 1, 5)
        net.blocks[0].norm.running_var *= 3
    return net.train()


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return xr.DataArray(
        rng.normal(size=(10, 12, 12, 3)),
        dims=("stimulus", "row", "column", "channel"),
        coords={"stimulus": [f"s{i}" for i in rng.permutation(10)]},
        attrs={"source": "ten pictures"},
    )


def by_hand(net, images):
    """Layer outputs without hooks: (stimulus, channel, row, column), or (stimulus, channel)."""
    block = net.blocks[0]
    x = torch.tensor(images.transpose("stimulus", "channel", "row", "column").values, dtype=torch.float32)
    with torch.no_grad():
        first = F.conv2d(x, block.first.weight, block.first.bias)
        norm = F.batch_norm(first, block.norm.running_mean, block.norm.running_var, block.norm.weight, block.norm.bias)
        second = F.conv2d(F.relu(norm), block.second.weight, block.second.bias)
        head = F.linear(F.relu(second).flatten(1), net.head.weight, net.head.bias)
    return {"first": first, "norm": norm, "second": second, "relu": F.relu(second), "head": head}


def run(net, stimuli, layers, **options):
    return activations(net, stimuli, layers, **({"progress": False, "device": "cpu", "batch_size": 4} | options))


def test_every_position_is_a_unit_and_in_place_layers_do_not_reach_back(net, images):
    truth = by_hand(net, images)
    found = run(net, images, ["blocks.0.second", "head", "blocks.0.norm"])
    assert list(found) == ["blocks.0.second", "head", "blocks.0.norm"]
    assert truth["norm"].min() < 0  # what the rectifier would have erased
    for layer, key in {"blocks.0.second": "second", "head": "head", "blocks.0.norm": "norm"}.items():
        np.testing.assert_allclose(found[layer], truth[key].flatten(1), atol=1e-5)
        assert found[layer].dims == ("stimulus", "unit")
        assert found[layer].dtype == np.float32


@pytest.mark.parametrize(("pool", "cells"), [("mean", 1), (1, 1), (2, 2), (3, 3), (np.int64(8), 8)])
def test_pooling_averages_over_cells(net, images, pool, cells):
    expected = F.adaptive_avg_pool2d(by_hand(net, images)["second"], cells).flatten(1)
    np.testing.assert_allclose(run(net, images, ["blocks.0.second"], pool=pool)["blocks.0.second"], expected, atol=1e-5)


def test_units_say_where_they_come_from(net, images):
    maps = run(net, images, ["blocks.0.second"], pool=2)["blocks.0.second"]
    expected = F.adaptive_avg_pool2d(by_hand(net, images)["second"], 2)
    for unit in maps.unit.values:
        one = maps.sel(unit=unit)
        place = int(one.channel), int(one.row), int(one.column)
        assert unit == "blocks.0.second[{},{},{}]".format(*place)
        np.testing.assert_allclose(one, expected[(slice(None), *place)], atol=1e-5)
    assert set(maps.layer.values) == {"blocks.0.second"}
    assert maps.sizes["unit"] == 16


@pytest.mark.parametrize(("layer", "pool", "n"), [("head", 4, 7), ("head", None, 7), ("blocks.0.second", "mean", 4)])
def test_units_without_a_place_have_row_and_column_minus_one(net, images, layer, pool, n):
    found = run(net, images, [layer], pool=pool)[layer]
    assert found.channel.values.tolist() == list(range(n))
    assert set(found.row.values) == set(found.column.values) == {-1}
    assert found.unit.values[n - 1] == f"{layer}[{n - 1}]"


def test_the_result_is_a_population_that_says_how_it_was_made(net, images):
    found = run(net, images, ["head"], pool="mean")["head"]
    population.check(found, dims=("stimulus", "unit"))
    assert found.attrs["kind"] == "activations"
    assert found.attrs["source"] == "SmallNet"
    facts = population.provenance(found)
    assert facts["stimuli"] == "ten pictures"
    assert facts["pool"] == "mean"
    assert facts["preprocess"] == "None"


def test_stimuli_keep_their_ids_and_their_order(net, images):
    found = run(net, images, ["head"])["head"]
    assert found.stimulus.values.tolist() == images.stimulus.values.tolist()
    shuffled = images.isel(stimulus=np.random.default_rng(1).permutation(10))
    again = run(net, shuffled, ["head"])["head"]
    assert again.stimulus.values.tolist() == shuffled.stimulus.values.tolist()
    np.testing.assert_allclose(again.sel(stimulus=found.stimulus), found, atol=1e-6)
    assert not np.allclose(again.values, found.values, atol=1e-2)


@pytest.mark.parametrize("form", ["array", "tensor", "float64 tensor", "transposed", "big-endian"])
def test_the_same_images_in_another_form(net, images, form):
    stimuli = {
        "array": images.values,
        "tensor": torch.tensor(images.values, dtype=torch.float32).permute(0, 3, 1, 2),
        "float64 tensor": torch.tensor(images.values).permute(0, 3, 1, 2),
        "transposed": images.transpose("channel", "column", "stimulus", "row"),
        "big-endian": images.values.astype(">f8"),
    }[form]
    found = run(net, stimuli, ["head"])["head"]
    np.testing.assert_allclose(found, by_hand(net, images)["head"], atol=1e-5)
    if form != "transposed":
        assert found.stimulus.values.tolist() == list(range(10))


def test_grey_images_need_no_channel_dim():
    net = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False))
    grey = xr.DataArray(np.random.default_rng(0).normal(size=(3, 4, 5)), dims=("stimulus", "row", "column"))
    found = run(net, grey, ["0"])["0"]
    weight = net[0].weight.detach().numpy().ravel()
    expected = grey.values[:, None] * weight[:, None, None]
    np.testing.assert_allclose(found.values.reshape(3, 2, 4, 5), expected, atol=1e-6)


def test_vectors_are_stimuli_too():
    net = nn.Sequential(nn.Linear(3, 2))
    x = xr.DataArray(np.random.default_rng(0).normal(size=(3, 4)), dims=("unit", "stimulus"))
    found = run(net, x, ["0"])["0"]
    expected = x.values.T @ net[0].weight.detach().numpy().T + net[0].bias.detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(run(net, x.values.T, ["0"])["0"], found)


def test_preprocess_gets_batches_of_images_and_gives_the_input(net, images):
    levels = (images * 20 + 128).clip(0, 255).astype(np.uint8)
    shapes = []

    def preprocess(batch):
        shapes.append((batch.dtype, batch.shape))
        return (torch.from_numpy(batch).permute(0, 3, 1, 2).float() - 128) / 20

    found = run(net, levels, ["head"], preprocess=preprocess)["head"]
    assert shapes == [(np.uint8, (n, 12, 12, 3)) for n in (4, 4, 2)]
    np.testing.assert_allclose(found, by_hand(net, (levels.astype(float) - 128) / 20)["head"], atol=1e-5)
    assert "preprocess" in population.provenance(found)["preprocess"]


@pytest.mark.parametrize("batch_size", [None, 1, 3, 10, 64])
def test_batch_size_does_not_matter(net, images, batch_size):
    layers = ["blocks.0.first", "head"]
    one, other = run(net, images, layers), run(net, images, layers, batch_size=batch_size)
    for layer in layers:
        np.testing.assert_allclose(one[layer], other[layer], atol=1e-5)


def test_batches_by_default_take_the_input_bytes_they_may(net, images, monkeypatch):
    monkeypatch.setattr("neurosparse.networks.taps.CPU_INPUT", 3 * 4 * images[0].size + 1)
    sizes = []
    net.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    run(net, images, ["head"], batch_size=None)
    assert sizes == [1, 3, 3, 3][: len(sizes)]
    assert sum(sizes) == len(images)


class OnDisk(BackendArray):
    """Values that are read on demand; it remembers how many stimuli each reading took."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        self.readings = []

    def __getitem__(self, key):
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key):
        part = self.values[key]
        self.readings.append(part.shape[0])
        return part


def test_lazy_stimuli_are_read_a_batch_at_a_time(net, images):
    disk = OnDisk(images.values)
    lazy = xr.DataArray(xr.Variable(images.dims, indexing.LazilyIndexedArray(disk)), coords=images.coords)
    np.testing.assert_array_equal(run(net, lazy, ["head"])["head"], run(net, images, ["head"])["head"])
    assert disk.readings == [4, 4, 2]


def test_a_layer_that_runs_twice_is_tapped_call_by_call(net, images):
    truth = by_hand(net, images)
    found = run(net, images, ["blocks.0.relu#1", "blocks.0.relu#0"])
    np.testing.assert_allclose(found["blocks.0.relu#0"], F.relu(truth["norm"]).flatten(1), atol=1e-5)
    np.testing.assert_allclose(found["blocks.0.relu#1"], truth["relu"].flatten(1), atol=1e-5)
    with pytest.raises(InputError, match=r"'blocks.0.relu' runs 2 times.*Choose: 'blocks.0.relu#0', 'blocks.0.relu#1'"):
        run(net, images, ["blocks.0.relu"])
    with pytest.raises(InputError, match=r"'blocks.0.relu#2' did not answer: 'blocks.0.relu' ran 2 times"):
        run(net, images, ["blocks.0.relu#2"])


def test_a_layer_shared_by_two_parts_is_found_by_either_name():
    net = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    net.append(net[1])
    x = torch.tensor([[1.0, 2.0], [0.0, -1.0]])
    with torch.no_grad():
        once = net[0](x).tanh()
    found = run(net, x, ["2#0", "1#1"])
    np.testing.assert_allclose(found["2#0"], once, atol=1e-6)
    np.testing.assert_allclose(found["1#1"], once.tanh(), atol=1e-6)


def test_a_layer_asked_for_twice_is_given_once(net, images):
    found = run(net, images, ["blocks.0.first", "blocks.0.first"])
    assert list(found) == ["blocks.0.first"]
    assert net.ends == 1


def test_stimuli_that_want_gradients_get_none(net, images):
    stimuli = torch.tensor(images.values, dtype=torch.float32).permute(0, 3, 1, 2).requires_grad_()
    np.testing.assert_allclose(run(net, stimuli, ["head"])["head"], by_hand(net, images)["head"], atol=1e-5)
    assert stimuli.requires_grad
    assert stimuli.grad is None


def test_the_module_itself_is_a_layer(net, images):
    np.testing.assert_allclose(run(net, images, [""])[""], by_hand(net, images)["head"], atol=1e-5)


class Tokens(nn.Module):
    """(batch, token) of integers -> (batch, token, channel), through a layer that gives a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.attend = nn.MultiheadAttention(6, 2, batch_first=True)
        self.turned = nn.Identity()
        self.video = nn.Identity()
        self.waves = nn.Identity()

    def forward(self, x):
        x = self.embed(x)
        x, _ = self.attend(x, x, x)
        self.turned(x.transpose(0, 1))
        self.video(x[:, :, :, None, None])
        self.waves(x.to(torch.complex64))
        return x


def test_tokens_are_units_or_are_averaged():
    net, words = Tokens(), torch.arange(10).reshape(2, 5)
    expected = net.embed.weight.detach()[words]
    found = run(net, words, ["embed"])["embed"]
    np.testing.assert_array_equal(found, expected.flatten(1))
    one = found.sel(unit="embed[3,2]")
    assert (int(one.token), int(one.channel), int(one.row), int(one.column)) == (3, 2, -1, -1)
    np.testing.assert_array_equal(one, expected[:, 3, 2])
    np.testing.assert_allclose(run(net, words, ["embed"], pool="mean")["embed"], expected.mean(1), atol=1e-6)
    with pytest.raises(InputError, match=r"pool=4 needs maps, and layer 'embed' gives \(2, 5, 6\), taken as"):
        run(net, words, ["embed"], pool=4)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("attend", r"layer 'attend' gives a tuple, and not one real tensor. Tap a layer inside or after it"),
        ("waves", r"layer 'waves' gives a tensor of torch.complex64, and not one real tensor"),
        ("turned", r"layer 'turned' gives shape \(5, 2, 6\) for 2 stimuli; expected \(stimulus, channel\)"),
        ("video", r"layer 'video' gives shape \(2, 5, 6, 1, 1\) for 2 stimuli"),
        ("attend.out_proj", r"layer 'attend.out_proj' did not answer: 'attend.out_proj' ran 0 times"),
    ],
)
def test_outputs_that_are_no_units_are_named(layer, message):
    with pytest.raises(InputError, match=message):
        run(Tokens(), torch.arange(10).reshape(2, 5), [layer])


def state_of(net):
    """Everything that must not change, compared by identity where it can be."""
    return {
        "training": [part.training for part in net.modules()],
        "hooks": [(dict(part._forward_hooks), dict(part._forward_pre_hooks)) for part in net.modules()],
        "weights": [(id(p), p.data_ptr(), p.requires_grad, p.device, p.grad is None) for p in net.parameters()],
        "buffers": [(id(b), b.data_ptr(), b.device) for b in net.buffers()],
        "values": {name: value.tolist() for name, value in net.state_dict().items()},
        "torch": torch.get_rng_state().tolist(),
        "gradients": torch.is_grad_enabled(),
    }


@pytest.fixture
def marked_net(net):
    """A network with its own hook, a mixture of modes, a frozen weight and a gradient."""
    net.blocks[0].eval()
    net.blocks[0].norm.train()
    net.head.weight.requires_grad_(False)
    net.head.bias.grad = torch.ones(7)
    net.blocks[0].first.register_forward_hook(lambda module, inputs, output: None)
    return net


def test_the_module_is_left_as_it_was_found(marked_net, images):
    before = state_of(marked_net)
    run(marked_net, images, ["blocks.0.first", "head"])
    assert state_of(marked_net) == before


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("fails_on", [1, 3])
def test_also_when_the_forward_pass_fails(marked_net, images, fails_on, device):
    marked_net.fails_on = fails_on
    before = state_of(marked_net)
    with pytest.raises(ZeroDivisionError, match="the network broke") as failure:
        run(marked_net, images, ["head"], device=device)
    first = 4 * (fails_on - 1)
    assert f"stimuli {first} to {min(first + 3, 9)}" in failure.value.__notes__[0]
    assert state_of(marked_net) == before


@pytest.mark.parametrize("layer", ["blocks.0.frist", "blocks", "unused"])
def test_also_when_a_layer_is_missing_or_never_runs(marked_net, images, layer):
    before = state_of(marked_net)
    with pytest.raises((InputError, MissingError)):
        run(marked_net, images, ["head", layer])
    assert state_of(marked_net) == before


def test_later_batches_stop_once_every_layer_has_answered(net, images):
    truth = by_hand(net, images)
    found = run(net, images, ["blocks.0.norm", "blocks.0.first"])
    assert (net.batches, net.ends) == (3, 1)
    np.testing.assert_allclose(found["blocks.0.norm"], truth["norm"].flatten(1), atol=1e-5)
    net.ends = 0
    run(net, images, ["blocks.0.norm", ""])
    assert net.ends == 3


def test_stopping_early_is_not_taken_for_a_failure_by_the_module():
    class Careful(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Identity()
            self.failures = 0

        def forward(self, x):
            try:
                return self.layer(x)
            except Exception:
                self.failures += 1
                raise

    net = Careful()
    assert run(net, torch.ones(6, 2), ["layer"])["layer"].shape == (6, 2)
    assert net.failures == 0


def test_stopping_early_hides_no_failure_of_the_part_that_runs(net, images):
    net.fails_on = 2
    with pytest.raises(ZeroDivisionError):
        run(net, images, ["head"])


def test_a_layer_that_stops_answering_is_an_error():
    class Fickle(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Identity()

        def forward(self, x):
            return self.layer(x) if len(x) == 4 else x

    with pytest.raises(InputError, match=r"layer 'layer' did not answer: 'layer' ran 0 times"):
        run(Fickle(), torch.ones(6, 2), ["layer"])


def test_a_layer_that_changes_size_is_an_error():
    class Growing(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Identity()

        def forward(self, x):
            return self.layer(torch.ones(len(x), len(x)))

    with pytest.raises(InputError, match=r"layer 'layer' gives \{'channel': 2\} from stimulus number 4 on, and gave"):
        run(Growing(), torch.ones(6, 2), ["layer"])


def test_answers_that_are_not_finite_are_named(images):
    images[6, 0, 0, 0] = np.inf
    with pytest.raises(InputError, match=r"layer '0' gives 1 values that are not finite, first for stimulus number 6"):
        run(nn.Sequential(nn.Identity()), images, ["0"])


def test_unknown_layers_list_near_names(net, images):
    with pytest.raises(MissingError, match=r"no layer 'blocks.0.frist'; near names: blocks.0.first"):
        run(net, images, ["blocks.0.frist"])
    with pytest.raises(MissingError, match=r"no layer 'blocks.0.rely#1'; near names: blocks.0.relu"):
        run(net, images, ["blocks.0.rely#1"])
    with pytest.raises(MissingError, match=r"no layer 'zzz'; near names: blocks, blocks.0, .*named_modules"):
        run(net, images, ["zzz"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": "head"}, r"layers needs a list of at least one module path; got 'head'"),
        ({"layers": []}, r"layers needs a list of at least one module path; got \[\]"),
        ({"module": "net"}, r"module needs to be a torch.nn.Module; got str"),
        ({"module": nn.DataParallel(nn.Linear(2, 2))}, r"module is a DataParallel, which answers to no hooks"),
        ({"batch_size": 0}, r"batch_size needs to be at least 1; got 0"),
        ({"pool": "max"}, r"pool needs None, 'mean' or a number of cells a side, at least 1; got 'max'"),
        ({"pool": 0}, r"pool needs None, 'mean' or a number.*got 0"),
        ({"pool": 2.5}, r"pool needs None, 'mean' or a number.*got 2.5"),
        ({"pool": True}, r"pool needs None, 'mean' or a number.*got True"),
        ({"pool": 9}, r"pool=9 is finer than layer 'blocks.0.second', whose maps are \(8, 8\). Use pool=8 or less"),
        ({"preprocess": lambda batch: batch}, r"preprocess needs to give a tensor of 4 stimuli.*gave ndarray"),
        (
            {"preprocess": lambda batch: torch.ones(3, 3)},
            r"preprocess needs to give a tensor of 4.*gave shape \(3, 3\)",
        ),
    ],
)
def test_options_that_make_no_sense_are_explained(net, images, options, message):
    given = {"module": net, "layers": ["blocks.0.second"]} | options
    with pytest.raises(InputError, match=message):
        run(given.pop("module"), images, given.pop("layers"), **given)


@pytest.mark.parametrize("form", ["array", "tensor"])
def test_integer_images_without_a_scale_are_refused(net, form):
    levels = np.zeros((4, 12, 12, 3), dtype=np.uint8)
    stimuli = levels if form == "array" else torch.from_numpy(levels).permute(0, 3, 1, 2)
    with pytest.raises(InputError, match=r"images of torch.uint8 and preprocess is missing: which scale"):
        run(net, stimuli, ["head"])


def test_a_module_in_double_precision_or_channels_last(net, images):
    truth = by_hand(net, images)["second"].flatten(1)
    np.testing.assert_allclose(
        run(copy.deepcopy(net).double(), images, ["blocks.0.second"])["blocks.0.second"], truth, atol=1e-5
    )
    turned = nn.Sequential(copy.deepcopy(net.blocks[0]).to(memory_format=torch.channels_last))
    layouts = []
    turned.register_forward_pre_hook(lambda module, inputs: layouts.append(inputs[0].is_contiguous()))
    np.testing.assert_allclose(run(turned, images, ["0.second"])["0.second"], truth, atol=1e-5)
    assert not any(layouts)


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu_and_leaves_the_module_there(marked_net, images):
    before = state_of(marked_net)
    cpu, cuda = (run(marked_net, images, ["blocks.0.second", "head"], device=name) for name in ("cpu", "cuda"))
    for layer, found in cuda.items():
        np.testing.assert_allclose(found, cpu[layer], atol=2e-3)  # convolutions may run in TF32
        assert population.provenance(found)["device"] == str(resolve_device("cuda"))
    assert state_of(marked_net) == before


def test_progress_is_shown_when_asked_for(net, images, capsys):
    run(net, images, ["head"], progress=True)
    assert "activations" in capsys.readouterr().err
    run(net, images, ["head"], progress=False)
    assert capsys.readouterr().err == ""
