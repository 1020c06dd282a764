"""The picture's resize without the runtime's own operator."""

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch.nn import functional

from encompass.export.graph import GraphWriter, picture_input
from encompass.export.onnx_detector import resize_picture
from encompass.export.two_taps import resized_by_taps

SIZE = 32


def run(batch, pictures):
    g = GraphWriter()
    out = resize_picture(g, SIZE, batch)
    shape = helper.make_tensor_value_info(out, TensorProto.FLOAT, [batch, 3, SIZE, SIZE])
    model = resized_by_taps(g.model([picture_input(batch)], [shape], metadata={}))
    assert "Resize" not in {node.op_type for node in model.graph.node}
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"picture": pictures})[0]


@pytest.mark.parametrize("height", [1, 2, 20, 32, 45])
@pytest.mark.parametrize("width", [1, 31, 32, 100])
@pytest.mark.parametrize("batch", [1, 3])
def test_it_is_bilinear_interpolation_without_antialiasing(height, width, batch):
    shape = (batch, height, width, 3)
    pictures = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    planes = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    expected = functional.interpolate(planes, (SIZE, SIZE), mode="bilinear") - 127.5
    found = run(batch, pictures[0] if batch == 1 else pictures)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


def test_a_picture_of_the_size_is_as_it_was():
    picture = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    assert (run(1, picture)[0] == picture.transpose(2, 0, 1) - 127.5).all()
