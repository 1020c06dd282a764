import pytest
import torch

from encompass.data.drawn import draw_people
from encompass.models.instance import SsdIsb
from encompass.models.zoo import InstanceSpec, resizing

SPEC = InstanceSpec(
    multiplier=0.25,
    input_size=64,
    branches=resizing([(4, 3), (2, 2), (1, 1)]),
    crop_blocks=(11, 5, 3),
)


@pytest.fixture
def build():
    """The same tiny network each time it is called."""

    def network():
        torch.manual_seed(0)
        return SsdIsb(SPEC, num_classes=1)

    return network


@pytest.fixture(scope="session")
def people(tmp_path_factory):
    return draw_people(tmp_path_factory.mktemp("people"), num_images=6, seed=0, size=(64, 80))
