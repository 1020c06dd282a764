"""Tiny networks of random weights whose answers differ from place to place, so that they tell."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from encompass.models.decoders import FcnDecoder
from encompass.models.instance import SsdIsb
from encompass.models.semantic import SemanticNetwork
from encompass.models.weights import save_network
from encompass.models.zoo import SEMANTIC_MODELS, InstanceSpec, resizing

SPEC = InstanceSpec(
    multiplier=0.25,
    input_size=64,
    branches=resizing([(4, 3), (2, 2), (1, 1)]),
    crop_blocks=(11, 5, 3),
)


@pytest.fixture(scope="session")
def tiny_instance(drawn):
    """Builds the network of a small row, 64x64, with what is changed of it."""

    def build(num_classes=1, **changes):
        torch.manual_seed(0)
        spec = dataclasses.replace(SPEC, **changes)
        network = SsdIsb(spec, num_classes=num_classes).eval()
        for part in network.detector.modules():  # what cells differ in reaches the last map
            if isinstance(part, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
        for head in network.detector.heads:  # scores that differ from anchor to anchor
            scale = head.scores.in_channels**-0.5
            torch.nn.init.normal_(head.scores.weight, std=20 * scale)
            torch.nn.init.normal_(head.offsets.weight, std=10 * scale)
        with torch.no_grad():  # masks that are neither all set nor all unset
            picture = torch.from_numpy(drawn(64, 64)).permute(2, 0, 1)[None].float()
            features = {n: f[0] for n, f in network(picture).features.items()}
            for number, branch in enumerate(network.branches):
                crops = network.crops(features, np.asarray([[0, 0, 4, 4]]), number)
                branch.score.bias -= branch(crops).mean(dim=(0, 2, 3))
        return network

    return build


@pytest.fixture(scope="session")
def tiny_semantic(drawn):
    """Builds a row's network of four classes, narrow where it can be, whose skips have a say."""

    def build(spec):
        torch.manual_seed(0)
        if spec.encoder.startswith("mobilenet"):
            spec = dataclasses.replace(spec, multiplier=0.25)
        network = SemanticNetwork(spec, num_classes=4)
        torch.nn.init.normal_(network.decoder.score.weight, std=0.3)
        fcn = isinstance(network.decoder, FcnDecoder)
        for step in network.decoder.steps if fcn else ():
            torch.nn.init.normal_(step.skip.weight, std=0.3)
            torch.nn.init.normal_(step.up.weight, std=0.1)
        picture = torch.from_numpy(drawn(96, 128)).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            for part in network.modules():  # a random picture is then told apart to the end
                if isinstance(part, torch.nn.BatchNorm2d):
                    part.momentum = 1.0
            network.train()(picture)
            logits = network.eval()(picture)  # no class may win everywhere
            steps = network.decoder.steps
            head = steps[-1].skip if fcn and steps else network.decoder.score
            head.bias -= logits.mean(dim=(0, 2, 3))
        return network

    return build


@pytest.fixture(scope="session")
def drawn():
    """Draws a picture of soft colours, (height, width, 3) uint8."""

    def draw(height, width, seed=0):
        coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3)).astype(np.uint8)
        return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))

    return draw


@pytest.fixture(scope="session")
def records():
    """What a checkpoint of each task says of itself."""
    record = {"name": "tiny", "data": ["drawn"], "recipe": {"seed": 0}}
    return {
        "instance": record | {"names": ["person"], "category_ids": [1], "stage": "all"},
        "semantic": record
        | {
            "task": "semantic",
            "names": ["road", "sky", "person", "car"],
            "colours": [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]],
        },
    }


@pytest.fixture(scope="session")
def checkpoints(tiny_instance, tiny_semantic, records, tmp_path_factory):
    """A folder with instance.safetensors and semantic.safetensors."""
    folder = tmp_path_factory.mktemp("checkpoints")
    networks = {
        "instance": tiny_instance(),
        "semantic": tiny_semantic(SEMANTIC_MODELS["fcn8-squeezenet"]),
    }
    for task, network in networks.items():
        record = records[task] | {"row": dataclasses.asdict(network.spec)}
        save_network(folder / f"{task}.safetensors", network, record)
    return folder
