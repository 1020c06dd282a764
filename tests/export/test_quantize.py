"""Rounding a graph: numbers worked by hand, values under conditions, ranges, choice of layers."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from encompass.export.calibration import measure_ranges
from encompass.export.card import build_card
from encompass.export.int8 import GROUPS, choose_layers
from encompass.export.onnx import build_onnx
from encompass.export.quantize import Layer, find_layers, quantize
from encompass.export.rewrite import nodes_in


def graph_of(nodes, channels, constants):
    """A model from x (1, channels, 1, w) to y."""
    nodes = [helper.make_node("Identity", ["given"], ["x"]), *nodes]
    shapes = {"given": [1, channels, 1, "w"], "y": [1, None, 1, "w"]}
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items())
    given = [numpy_helper.from_array(np.asarray(v, np.float32), n) for n, v in constants.items()]
    graph = helper.make_graph(nodes, "drawn", [x], [y], given)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


def run(model, x):
    """y of x (channels, w), without the axes of length 1."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(["y"], {"given": np.asarray(x, np.float32)[None, :, None]})[0][0, :, 0]


def kernel(rows):
    return np.asarray(rows, np.float32)[:, :, None, None]


def convolution(x, y, *weights):
    return helper.make_node("Conv", [x, *weights], [y], name=y)


def test_a_rounded_convolution_worked_by_hand():
    weights = {"k": kernel([[1.27, -0.433]]), "b": [0.052]}
    model = graph_of([convolution("x", "y", "k", "b")], 2, weights)
    ranges = {"x": (0.0, 2.55), "y": (-1.28, 1.27)}
    rounded = quantize(model, find_layers(model), ranges)
    # x in steps of 0.01: 100, 50; weights likewise: 127, -43; the bias in steps of 0.0001: 520.
    # 100 * 127 - 50 * 43 + 520 = 11070, in steps of y's 0.01: 111. In float it is 1.1093.
    x = [[1.004], [0.503]]
    assert run(model, x).item() == pytest.approx(1.109281)
    assert run(rounded, x).item() == pytest.approx(1.11)
    assert run(rounded, [[9.0], [0.0]]).item() == pytest.approx(1.27)  # the end of the range


def test_each_output_channel_has_a_scale_and_one_of_tiny_weights_keeps_its_bias():
    weights = {"k": kernel([[100.0], [0.01], [0.0], [1e-12]]), "b": [0.0, 0.0, 0.5, 0.5]}
    model = graph_of([convolution("x", "y", "k", "b")], 1, weights)
    rounded = quantize(model, find_layers(model), {"x": (0.0, 1.0), "y": (0.0, 0.51)})
    np.testing.assert_allclose(run(rounded, [[0.0]]).ravel(), [0, 0, 0.5, 0.5], atol=1e-3)
    half = quantize(model, find_layers(model), {"x": (0.0, 1.0), "y": (0.0, 100.0)})
    np.testing.assert_allclose(run(half, [[0.5]])[0], 50, rtol=0.01)


@pytest.mark.parametrize(
    ("rows", "group", "whole"),
    [
        ([[1.0, -1.0]], 1, [127, -127]),
        ([[1.0, 1.0]], 1, [64, 64]),  # 255 * (64 + 64) fits in 16 bits
        ([[1.0], [1.0]], 2, [127, 127]),  # depthwise
    ],
)
def test_products_of_neighbours_fit_in_16_bits(rows, group, whole):
    model = graph_of([convolution("x", "y", "k")], 2, {"k": kernel(rows)})
    model.graph.node[-1].attribute.append(helper.make_attribute("group", group))
    rounded = quantize(model, find_layers(model), {"x": (0.0, 1.0), "y": (0.0, 2.0)})
    weights = {t.name: numpy_helper.to_array(t) for t in rounded.graph.initializer}
    assert weights["y.weight.whole"].ravel().tolist() == whole


def activated(*more, y="y"):
    """A convolution that doubles, and a ReLU; then what is given."""
    weights = {"k": kernel([[2.0]]), "one": kernel([[1.0]])}
    nodes = [convolution("x", "a", "k"), helper.make_node("Relu", ["a"], [y], name=y)]
    return graph_of([*nodes, *more], 1, weights)


def kinds(model):
    return [node.op_type for node in nodes_in(model.graph)]


def test_an_activation_that_one_node_reads_goes_and_one_that_several_read_stays():
    ranges = {"x": (-1.0, 1.0), "r": (0.0, 2.0), "y": (0.0, 2.0)}
    once = activated(convolution("r", "y", "one"), y="r")
    again = activated(
        helper.make_node("Neg", ["r"], ["n"]),
        helper.make_node("Abs", ["r"], ["p"]),
        helper.make_node("Add", ["n", "p"], ["y"]),
        y="r",
    )
    for model, left in ((once, 0), (again, 1)):
        layers = find_layers(model)
        rounded = quantize(model, layers, ranges)
        assert kinds(rounded).count("Relu") == left
        x = [[-0.7, 0.3, 0.9]]
        np.testing.assert_allclose(run(rounded, x), run(model, x), atol=0.02)


def test_who_reads_what_a_float_layer_gives_reads_it_as_it_is():
    assert Layer(name="a", source="x", result="y") in find_layers(activated())
    model = activated(
        convolution("r", "c", "one"), helper.make_node("Sub", ["r", "c"], ["y"]), y="r"
    )
    (_, second) = find_layers(model)
    rounded = quantize(model, [second], {"r": (0.0, 2.55), "c": (0.0, 2.55)})
    assert run(rounded, [[0.503]]).item() == pytest.approx(1.006 - 1.01, abs=1e-4)


@pytest.fixture(scope="module")
def network_graph(tiny_instance, records):
    network = tiny_instance()
    return build_onnx(network, build_card(network, records["instance"], scores={}, commit=""))


def values_of(layers):
    return {value for layer in layers for value in (layer.source, layer.result)}


def feed(picture, score):
    return {"picture": picture, "score_threshold": np.asarray(score, np.float32)}


def test_what_is_read_has_its_mean_extremes_and_what_is_not_has_all():
    model = activated(convolution("r", "y", "one"), y="r")
    layers = find_layers(model)
    feeds = [{"given": np.float32([[given]])} for given in ([[1.0, 2.0]], [[3.0, 8.0]])]
    found = measure_ranges(model, layers, feeds, threads=1)
    assert found == {"x": (2.0, 5.0), "r": (4.0, 10.0), "y": (2.0, 16.0)}


def test_ranges_are_means_over_pictures_and_nothing_has_none(network_graph, drawn):
    layers = find_layers(network_graph)
    trunk, *_ = layers
    pictures = [np.full((64, 64, 3), grey, np.uint8) for grey in (0, 100)]
    found = measure_ranges(network_graph, layers, [feed(p, 1.0) for p in pictures], threads=1)
    assert found[trunk.source] == (-77.5, -77.5)  # of -127.5 and -27.5
    missing = [layer for layer in layers if {layer.source, layer.result} - found.keys()]
    branches = [layer for layer in layers if layer.source.startswith("RoiAlign")]
    assert set(branches) <= set(missing)  # no box, no crop
    conditional = {
        node.output[0]
        for each in network_graph.graph.node
        if each.op_type == "If"
        for node in nodes_in(onnx.helper.make_graph([each], "one", [], []))
    }
    under = [layer for layer in layers if layer.name in conditional]
    assert under
    assert not set(under) & set(missing)  # computed in any case
    everything = measure_ranges(network_graph, layers, [feed(drawn(64, 64), 0.1)], threads=1)
    assert everything.keys() == values_of(layers)


def reading_crops(model):
    """Names of the convolutions that read a crop."""
    crops = {node.output[0] for node in nodes_in(model.graph) if node.op_type == "RoiAlign"}
    return {
        node.output[0]
        for node in nodes_in(model.graph)
        if node.op_type == "Conv" and node.input[0] in crops
    }


def test_what_reads_a_crop_stays_in_float_and_what_follows_does_not(network_graph):
    reading = reading_crops(network_graph)
    layers = find_layers(network_graph)
    assert reading
    assert not reading & {layer.name for layer in layers}
    assert {layer.source for layer in layers} & reading  # the pointwise of the depthwise


def test_what_stands_under_a_condition_is_rounded_too(network_graph, drawn, tmp_path):
    layers = find_layers(network_graph)
    ranges = measure_ranges(network_graph, layers, [feed(drawn(64, 64), 0.1)], threads=1)
    rounded = quantize(network_graph, layers, ranges)
    onnx.checker.check_model(rounded, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    session = onnxruntime.InferenceSession(rounded.SerializeToString(), options)
    for score in (0.1, 1.0):  # with boxes and without
        boxes, logits = session.run(["boxes", "mask_logits"], feed(drawn(64, 64), score))
        assert len(boxes) == len(logits)
        assert np.isfinite(logits).all()
    computed = kinds(onnx.load(tmp_path / "optimised.onnx"))
    assert computed.count("QLinearConv") == len(layers)  # none is computed in float after all
    assert computed.count("Conv") == len(reading_crops(network_graph))
    used = {value for node in nodes_in(rounded.graph) for value in node.input}
    assert {tensor.name for tensor in rounded.graph.initializer} <= used | {"score_threshold"}


def row(number):
    return [Layer(name=str(i), source=f"{i}", result=f"{i + 1}") for i in range(number)]


def test_all_layers_are_rounded_where_nothing_is_lost():
    asked = []
    assert choose_layers(row(9), lambda some: asked.append(some) or True, len) == tuple(row(9))
    assert len(asked) == 1


@pytest.mark.parametrize(("number", "group"), [(9, 1), (64, 4)])
def test_the_groups_that_change_most_stay_in_float(number, group):
    asked = []
    bad = {"3": 0.05, "7": 0.02}

    def lost(some):
        asked.append(some)
        return sum(bad.get(layer.name, 0) for layer in some)

    def chosen(most):
        layers = choose_layers(row(number), lambda some: lost(some) <= most, lost)
        return {layer.name for layer in layers}

    float_ = {
        str(i)
        for at in bad
        for i in range(int(at) // group * group, (int(at) // group + 1) * group)
    }
    assert chosen(0.01) == {str(i) for i in range(number)} - float_
    assert len(asked) <= 1 + GROUPS + 4
    assert chosen(0.01) < chosen(0.025)  # the worse of the two is enough


@pytest.mark.parametrize("number", [1, 2, 5])
def test_something_is_rounded_in_any_case(number):
    assert len(choose_layers(row(number), lambda some: False, len)) == 1


def test_a_layer_whose_channels_are_far_apart_is_found_and_left_in_float():
    weights = {
        "apart": kernel([[1.0], [1000.0]]),  # in steps of 4 nothing is left of the first
        "first": kernel([[1.0, 0.0]]),
        "one": kernel([[1.0]]),
    }
    nodes = [
        convolution("x", "a", "one"),
        convolution("a", "b", "apart"),
        convolution("b", "c", "first"),
        convolution("c", "d", "one"),
        convolution("d", "y", "one"),
    ]
    model = graph_of(nodes, 1, weights)
    x = np.linspace(0, 1, 50)[None]
    layers = find_layers(model)
    ranges = {"x": (0, 1), "a": (0, 1), "b": (0, 1000), "c": (0, 1), "d": (0, 1), "y": (0, 1)}
    wanted = run(model, x)

    def lost(some):
        return np.abs(run(quantize(model, some, ranges), x) - wanted).mean()

    assert lost(layers) > 0.2
    chosen = choose_layers(layers, lambda some: lost(some) < 0.01, lost)
    assert [layer.name for layer in layers if layer not in chosen] == ["b", "c"]
    assert lost(chosen) < 0.01
