import sys

import pytest
import torch

import encompass.evaluate.profile_semantic as prof
from encompass.errors import UsageError
from encompass.models.layers import tensorflow_parameters
from encompass.models.semantic import SemanticNetwork
from encompass.models.zoo import SEMANTIC_MODELS

ROW = "fcn16-mobilenet0.5"
SIZE = (64, 128)


@pytest.fixture
def measured(monkeypatch):
    """A function that profiles a row, without the process that weighs memory."""
    monkeypatch.setattr(prof, "peak_mb_of", lambda code, *arguments: 12.5)
    threads = torch.get_num_threads()
    yield lambda row: prof.profile_semantic([row], size=SIZE, runs=2, threads=1)[0]
    torch.set_num_threads(threads)


def test_the_stages_lead_from_picture_to_labels(measured):
    found = measured(ROW)
    names = ["encoder", "decoder", "upsample", "argmax"]
    assert [stage.name for stage in found.stages] == names
    assert (found.height, found.width, found.num_classes, found.peak_mb) == (64, 128, 19, 12.5)
    assert found.fps == pytest.approx(1e3 / found.whole.mean_ms, rel=0.01)


def test_the_whole_is_the_sum_of_its_stages(measured):
    found = measured(ROW)
    for figure in ("parameters", "torch_parameters", "macs", "output_bytes"):
        total = sum(getattr(stage, figure) for stage in found.stages)
        assert getattr(found.whole, figure) == total > 0
    network = SemanticNetwork(SEMANTIC_MODELS[ROW], num_classes=19)
    assert found.whole.parameters == tensorflow_parameters(network)


def test_decoder_and_labels_have_the_costs_worked_by_hand(measured):
    _, decoder, up, argmax = measured(ROW).stages
    coarse, cells, pixels = 2 * 4, 4 * 8, 64 * 128
    scores = coarse * 512 * 19 + cells * 256 * 19  # blocks 13 and 11
    transposed = coarse * 19 * 19 * 16  # each tap of each input
    assert decoder.macs == scores + transposed
    # The two scores, the transposed convolution and the sum, float32.
    assert decoder.output_bytes == (coarse + 3 * cells) * 19 * 4
    assert (up.macs, up.output_bytes) == (0, pixels * 19 * 4)
    assert (argmax.macs, argmax.output_bytes) == (0, pixels * 8)  # int64


def test_rows_that_differ_in_strides_have_one_decoder_and_other_maps(measured):
    base, stride8 = measured("mobilenet0.5"), measured("stride8-mobilenet0.5")
    assert base.whole.parameters == stride8.whole.parameters
    assert stride8.stages[1].macs == 16 * base.stages[1].macs


def test_rows_that_take_turns_name_each_other_and_keep_every_time(monkeypatch):
    monkeypatch.setattr(prof, "peak_mb_of", lambda code, *arguments: 12.5)
    rows, order = ["mobilenet0.5", "squeezenet"], []
    run = prof.LabelPass.run
    monkeypatch.setattr(
        prof.LabelPass, "run", lambda self, *lap: order.append(self) or run(self, *lap)
    )
    found = prof.profile_semantic(rows, size=(32, 32), runs=3, threads=torch.get_num_threads())
    assert [each.model for each in found] == rows
    assert all(each.together == tuple(rows) for each in found)
    for each in found:
        assert len(each.times_ms) == 3
        assert each.whole.mean_ms == pytest.approx(sum(each.times_ms) / 3, abs=0.01)
    first, second = dict.fromkeys(order)
    turns = [order[i : i + 2] for i in range(10, 22, 2)]  # after five passes of each to warm up
    assert all(set(turn) == {first, second} for turn in turns)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell memory")
def test_a_row_is_weighed_in_a_process_of_its_own():
    (found,) = prof.profile_semantic(["squeezenet"], size=(32, 32), runs=1, threads=1)
    assert found.peak_mb is not None and 50 < found.peak_mb < 5000


def test_an_unknown_row_is_refused():
    with pytest.raises(UsageError, match="Did you mean 'squeezenet'"):
        prof.open_semantic("sqeezenet")
