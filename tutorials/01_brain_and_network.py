# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Does a network represent what a brain area represents?
#
# A recording and a network saw the same images. Is one code a linear image of the other? Which sparse features does
# each superpose? Can those features be understood? This notebook asks the three questions of a simulated session,
# where the answers are known, and then of a recording from macaque area V4, where its file is at hand.

# %%
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import neurosparse
from neurosparse import plots, population, simulation
from neurosparse.comparison import Effort, findings, table

# %% [markdown]
# ## A session whose truth is known
#
# Sixteen units superpose 24 sparse latents: more features than units. Every image shows the two latents that are
# active in it. The world is written as an NWB file of spike **times**, trials and images; from here on the analysis
# sees that file and nothing else.

# %%
world = simulation.sparse_world(16, 24, n_stimuli=400, n_active=2, max_coherence=0.6, random_state=1)
folder = Path(tempfile.mkdtemp())
path = simulation.write_world(world, folder / "simulated.nwb")
recording = neurosparse.open_nwb(path)
recording

# %% [markdown]
# One call counts the spikes of each trial. The result is a population: a labelled array whose last dim is `unit` and
# whose trials carry every column of the trials table.

# %%
trials = recording.spikes(align="trials", reduce="sum", stimulus="stimulus")
images = recording.stimuli().load()
print(dict(trials.sizes), dict(images.sizes))

# %% [markdown]
# ## Raw data first
#
# A unit's mean response on one half of the repeats, against the other half. The good unit lies along the diagonal.
# The bad unit is a control that we make: its spike counts, dealt to the trials at random.

# %%
rng = np.random.default_rng(0)
quality = population.reliability(trials, n_splits=20)
good = quality["unit"].values[quality["reliability"].values.argmax()]
first, second = next(population.split_halves(trials, n_splits=1, random_state=0))
shuffled = trials.copy(data=rng.permutation(trials.values, axis=0))
lost_first, lost_second = next(population.split_halves(shuffled, n_splits=1, random_state=0))

# %%
figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
axes[0].imshow(images[0])
axes[0].set_title("stimulus 0")
axes[0].axis("off")
plots.plot_repeats(first, second, good, ax=axes[1])
plots.plot_repeats(lost_first, lost_second, good, ax=axes[2], color="#64748b")
axes[2].set_title(f"unit {good}, trials shuffled")
# %% [markdown]
# The stimulus decides much of what the good unit does, and nothing once trials are shuffled. How much is the ceiling:
# no model can predict the averages better than the square root of their reliability.

# %%
quality[["split_half_r", "reliability", "ceiling"]].median()

# %% [markdown]
# ## A network that saw the same images
#
# Its layer `superposed` is linear in the same latents, in a random dictionary of its own. Its layer `scrambled` knows
# as much and shows none of it to a linear map: our negative control. `activations` gives both as populations.

# %%
network, layers = simulation.world_network(world, random_state=1)
seen = neurosparse.activations(network, images, layers, preprocess=network.preprocess, progress=False)
{name: dict(layer.sizes) for name, layer in seen.items()}

# %% [markdown]
# ## The first question: is one a linear image of the other?
#
# Ridge maps are fitted on some images and scored on others, with the penalty chosen inside the training images. Each score stands beside its null (images permuted, penalty chosen again) and its ceiling.

# %%
for name, layer in seen.items():
    found = neurosparse.linear_identifiability(layer, trials, n_permutations=19, n_bootstraps=0, directions=["x->y"])
    row = found.sel(direction="x->y")
    print(f"{name:>10}: r {row['median_r']:.2f}, null {row['median_null_r']:.2f}, p {row['pooled_p']:.3f}")

# %% [markdown]
# `superposed` predicts the recording almost up to its ceiling, `early` (linear filters of the pixels) less, and
# `scrambled` hardly.
#
# ## The second question: which features does it superpose?
#
# The learner is told how many atoms to look for, and neither how many are active at once nor a penalty. Responses are
# averaged over repeats and measured in units of trial noise, and so is the truth that we compare with. Chance is what
# random dictionaries of the same size reach. (The warning is right: more atoms than units is a claim to be tested,
# which is what comes next.)

# %%
responses = population.scale_by_noise(trials)
learner = neurosparse.DictionaryLearning(24, random_state=0).fit(responses)
truth = world.dictionary / responses["noise_sd"]
recovery = neurosparse.sparse_coding.dictionary_recovery(learner.dictionary_, truth, x=responses)
print(f"mean |cos| {recovery['mean_cosine']:.3f}, chance {recovery['chance'].max():.3f}")
print(f"{recovery['share_above_90']:.0%} of the atoms above .9, chance {recovery['chance_above_90'].max():.0%}")

# %% [markdown]
# A learner always returns something. Would a Gaussian of equal covariance, which has no sparse features, have given as
# good a dictionary? The recording is told from one; the negative control, a Gaussian made from it, is not.

# %%
gaussian = simulation.gaussian_like(responses, random_state=0)
for name, x in {"recording": responses, "Gaussian": gaussian}.items():
    test = neurosparse.surrogate_test(x, n_atoms=24, n_surrogates=5, n_splits=1)
    surrogate = float(test["surrogate_stability"].mean())
    print(f"{name:>10}: {test.attrs['verdict']}, stability {test['stability']:.2f}, surrogates {surrogate:.2f}")

# %% [markdown]
# ## All three questions in one table
#
# `compare` gives every representation the same rows, on the same number of units. The third question, whether features
# can be understood, is a score too: given the images that drive a feature most and least, can a further image be told
# by its pixels alone? Chance is .5.

# %%
effort = Effort(n_permutations=19, n_bootstraps=100, n_surrogates=5, n_splits=20, n_score_bootstraps=50)
result = neurosparse.compare(
    {"recording": trials, "superposed": seen["superposed"], "scrambled": seen["scrambled"]},
    stimuli=images,
    n_atoms=24,
    effort=effort,
)
table(result).round(2).T

# %%
figure, axes = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained")
plots.plot_cross_scores(result, ax=axes[0])
plots.plot_stability(result, ax=axes[1])
# %% [markdown]
# ## The same on macaque V4
#
# Fifty units and 640 natural images, against a convolutional network trained to name objects. To stay short, this
# takes 80 of the images and one layer; `neurosparse compare` takes them all, with random-weight controls.

# %%
v4_file = Path(os.environ.get("NEUROSPARSE_DATA_DIR", "")) / "cowley_v4_210325.nwb"
if v4_file.is_file():
    with neurosparse.open_nwb(v4_file) as v4:
        v4_trials = population.select(v4.series("spike_counts", stimulus="image_index"), "image_index < 80")
        v4_images = v4.stimuli("images")[:80].load()
    module, preprocess = neurosparse.networks.pretrained("efficientnet-lite0")
    v4_seen = neurosparse.activations(module, v4_images, ["_blocks.2"], preprocess=preprocess, pool=4, progress=False)
    v4_result = neurosparse.compare({"V4": v4_trials, **v4_seen}, stimuli=v4_images, n_atoms=4, effort=effort)
    print("\n".join(findings(v4_result)))

# %%
if v4_file.is_file():
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained")
    plots.plot_cross_scores(v4_result, ax=axes[0])
    plots.plot_stability(v4_result, ax=axes[1])

# %% [markdown]
# The layer predicts V4 well above the null and stays below the ceiling. Whether four atoms on 80 images mean anything
# is for the surrogates to say.
#
# ## What was found, and what it cannot say

# %%
print("\n".join(findings(result)))

# %% [markdown]
# Intervals resample images and hold the fitted maps fixed: they speak of other images, not of other animals. A network
# has no trial noise, so a difference in stability or interpretability between it and a recording may be due to noise
# alone. And a dictionary that is told from a Gaussian is not yet one whose atoms mean something.
