import dataclasses
import sys

import numpy as np
import pytest
import torch

import encompass.evaluate.profile as prof
from encompass.errors import ModelError, UsageError
from encompass.models.instance import SsdIsb
from encompass.models.layers import tensorflow_parameters
from encompass.models.zoo import BranchSpec, InstanceSpec, exact, resizing

# A 4x4 grid of cells of 16 pixels; trunk blocks 11 and 5 have 128 and 64 channels.
SPEC = InstanceSpec(
    multiplier=0.25,
    input_size=64,
    branches=(*exact([(2, 1)], max_boxes=3), *resizing([(4, 4), (2, 2)], max_boxes=2)),
    crop_blocks=(11, 5),
)
ROW = """
multiplier = 0.25
input_size = 64
crop_blocks = [11, 5]
[[branches]]
shape = [2, 2]
"""


def network(spec=SPEC):
    torch.manual_seed(0)
    return SsdIsb(spec, num_classes=1).eval()


@pytest.fixture
def measured(monkeypatch):
    """A function that profiles a network of `SPEC`, without the process that weighs memory."""
    monkeypatch.setattr(prof, "open_network", lambda model: (model, network(), "fresh"))
    monkeypatch.setattr(prof, "peak_mb_of", lambda code, *arguments: 12.5)
    threads = torch.get_num_threads()
    yield lambda people: prof.profile(["tiny"], people=people, runs=3, threads=1)[0]
    torch.set_num_threads(threads)


def branches_of(found):
    return {s.name: (s.shape, s.boxes) for s in found.stages if s.shape}


def test_the_stages_are_the_detectors_parts_then_crops_then_each_branch(measured):
    found = measured(2)
    assert [stage.name for stage in found.stages] == [
        *("trunk", "extras", "predictors", "decode + NMS", "crops"),
        *("exact 2x1", "branch 4x4", "branch 2x2"),
    ]
    assert (found.model, found.input_size, found.people, found.runs) == ("tiny", 64, 2, 3)
    assert (found.device, found.peak_mb) == ("cpu", 12.5)


def test_the_whole_is_the_sum_of_its_stages(measured):
    found = measured(5)
    for figure in ("parameters", "torch_parameters", "macs", "output_bytes"):
        total = sum(getattr(stage, figure) for stage in found.stages)
        assert getattr(found.whole, figure) == total > 0
    assert found.whole.parameters == tensorflow_parameters(network())
    assert found.whole.torch_parameters == sum(p.numel() for p in network().parameters())
    assert found.fps == pytest.approx(1e3 / found.whole.mean_ms, rel=0.01)


def test_a_branch_has_the_multiply_adds_worked_by_hand(measured):
    (branch,) = [stage for stage in measured(None).stages if stage.name == "branch 2x2"]
    cells, boxes = 2 * 2, 2
    coarse = cells * (128 * 9 + 128 * 128)  # depthwise 3x3 and pointwise
    up = cells * 128 * 32 * 16  # transposed 4x4: each tap of each input
    fine = 4 * cells * (64 * 32 + 32)  # the skip and the score
    assert branch.macs == boxes * (coarse + up + fine)
    # Depthwise, pointwise, its ReLU; transposed, skip, sum, ReLU; score: all float32.
    outputs = cells * 3 * 128 + 4 * cells * (4 * 32 + 1)
    assert branch.output_bytes == boxes * outputs * 4


def test_the_first_stage_is_the_trunk_with_the_scaling_of_the_picture(measured):
    trunk = measured(0).stages[0]
    stem = 16 * 32 * 32 * 27  # 3x3 stride 2, from 3 channels to the least width
    assert trunk.macs > stem
    assert trunk.output_bytes > 2 * 3 * 64 * 64 * 4  # divided by 127.5, less 1


def test_boxes_go_where_the_network_sends_them(measured):
    # Heights of 4 ** (1/4) and 4 ** (3/4) cells, half as wide: 2x1 and 3x2.
    boxes = prof.people_boxes(2, stride=16, grid=(4, 4))
    np.testing.assert_allclose(boxes[:, 2:], [[11.31, 22.63], [22.63, 45.25]], atol=0.01)
    assert branches_of(measured(2)) == {
        "exact 2x1": ((2, 1), 1),
        "branch 4x4": ((4, 4), 1),
        "branch 2x2": ((2, 2), 0),
    }


def test_a_branch_without_a_box_costs_nothing(measured):
    idle = measured(2).stages[-1]
    assert (idle.macs, idle.output_bytes, idle.mean_ms, idle.p95_ms) == (0, 0, 0.0, 0.0)
    assert idle.parameters > 0


def test_without_people_the_detector_is_all_that_costs(measured):
    for stage in measured(0).stages[4:]:
        assert (stage.boxes, stage.macs, stage.output_bytes) == (0, 0, 0)


def test_filled_up_every_branch_has_all_the_boxes_it_takes(measured):
    assert branches_of(measured(None)) == {
        "exact 2x1": ((2, 1), 3),
        "branch 4x4": ((4, 4), 2),
        "branch 2x2": ((2, 2), 2),
    }


@pytest.mark.parametrize("people", [0, 1, 7])
def test_so_many_boxes_remain_after_suppression(people):
    work = prof.Pass(network(), people=people)
    (found,) = work.network.detect(work.answer, score=work.score)
    assert len(found.scores) == people


def test_counts_do_not_depend_on_the_weights():
    torch.manual_seed(1)
    other = SsdIsb(SPEC, num_classes=1).eval()
    for a, b in zip(
        prof.Pass(network(), people=4).count().items(),
        prof.Pass(other, people=4).count().items(),
        strict=True,
    ):
        assert (a[0], a[1].tolist()) == (b[0], b[1].tolist())


def test_a_pass_leaves_no_hook_behind():
    work = prof.Pass(network(), people=1)
    work.count()
    assert not any(part._forward_hooks for part in work.network.modules())


def test_pooled_crops_and_boxes_as_they_are_can_be_profiled():
    pooled = BranchSpec(shape=(2, 2), pool="max", max_boxes=2)
    spec = dataclasses.replace(SPEC, branches=(pooled,), crop="box")
    counted = prof.Pass(network(spec), people=3).count()
    assert counted["branch 2x2"][0] > 0


def test_the_fine_map_is_counted_among_extras_and_predictors():
    plain = dataclasses.replace(SPEC, anchors="pixels")
    without, with_fine = (
        prof.Pass(network(spec), people=1)
        for spec in (plain, dataclasses.replace(plain, fine_map=True))
    )
    before, after = without.count(), with_fine.count()
    # 96 channels; 8x8 cells told by 4x4: the 1x1 of block 11 and of block 5, depthwise, pointwise.
    more = 4 * 4 * 128 * 96 + 8 * 8 * (64 * 96 + 9 * 96 + 96 * 96)
    assert after["extras"][0] - before["extras"][0] == more
    assert after["predictors"][0] - before["predictors"][0] == 8 * 8 * 96 * 3 * (4 + 2)
    parameters = sum(tensorflow_parameters(s.part) for s in with_fine.stages() if s.part)
    assert parameters == tensorflow_parameters(with_fine.network)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell memory")
def test_a_row_file_is_weighed_in_a_process_of_its_own(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(ROW)
    threads = torch.get_num_threads()
    (found,) = prof.profile([str(path)], people=1, runs=1, threads=threads)
    assert found.peak_mb > 50  # the interpreter and torch alone
    assert (found.model, found.weights) == ("tiny", "fresh")


def test_what_cannot_be_profiled_is_refused_with_the_way_out():
    with pytest.raises(UsageError, match="Did you mean 'multi-shape'"):
        prof.open_network("multi-shap")
    with pytest.raises(ModelError, match=r"a\.safetensors: no such file"):
        prof.open_network("a.safetensors")
