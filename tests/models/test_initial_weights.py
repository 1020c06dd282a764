"""The imported detector, before any training, against what the weights are known to reach."""

import dataclasses

import pytest

from encompass.data.coco import load_coco
from encompass.evaluate.coco import score_instances
from encompass.evaluate.network import network_predictor
from encompass.models.instance import SsdIsb
from encompass.models.releases import load_release
from encompass.models.zoo import MODELS


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("change", "ap", "ap50"),
    [
        ({"input_size": 300}, 28, 55),
        # With anchors as parts of the picture it would be 20.6 and 55.0: all sizes are even here.
        ({"input_size": 320, "anchors": "pixels"}, 27.5, 55),
    ],
    ids=["300", "pixel anchors at 320"],
)
def test_the_imported_detector_reaches_its_box_ap(initial_weights, shared_data, change, ap, ap50):
    spec = dataclasses.replace(MODELS["multi-shape-mn0.75-320"], **change)
    network = SsdIsb(spec, num_classes=1).eval()
    load_release(network.detector, initial_weights, names=("person",))
    persons = shared_data / "coco-person"
    dataset = load_coco(persons / "person_val.json", persons / "images")
    predict = network_predictor(network, names=("person",), with_masks=False)
    scores = score_instances(dataset, predict)
    assert scores["num_images"] == 220
    assert scores["box"]["AP"] >= ap
    assert scores["box"]["AP50"] >= ap50
