"""Cutting an ONNX file without the package that made it."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnx.utils import Extractor

from polyp.run.onnxgraph import cut_at


@pytest.fixture(scope="module")
def branched():
    """x -> a -> first; a -> b -> second, which also needs the weight w; c, which nobody needs."""
    nodes = [
        helper.make_node("Neg", ["x"], ["a"], name="A"),
        helper.make_node("Abs", ["a"], ["first"], name="First"),
        helper.make_node("Mul", ["a", "w"], ["b"], name="B"),
        helper.make_node("Split", ["b"], ["second", "c"], name="Two", num_outputs=2, axis=0),
        helper.make_node("Abs", ["c"], ["d"], name="Unused"),
    ]
    kinds = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1000])
        for name in ("x", "first", "second")
    ]
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1000], np.arange(1000, dtype=np.float32))
    graph = helper.make_graph(nodes, "it", kinds[:1], kinds[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {"polyp": "é" * 200})
    return model


@pytest.mark.parametrize(("name", "count"), [("first", 2), ("second", 3)])
def test_what_is_left_is_what_onnx_itself_extracts(branched, name, count):
    content = cut_at(branched.SerializeToString(), name)
    found, expected = onnx.load_from_string(content), Extractor(branched).extract_model(["x"], [name])
    onnx.checker.check_model(found)
    assert len(found.graph.node) == count
    assert list(found.graph.node) == list(expected.graph.node)
    assert list(found.graph.output) == [o for o in branched.graph.output if o.name == name]
    assert found.metadata_props == branched.metadata_props
    x = np.random.default_rng(0).normal(size=(4, 1000)).astype(np.float32)
    ours, theirs = (
        onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run([name], {"x": x})
        for model in (content, branched.SerializeToString())
    )
    np.testing.assert_array_equal(ours[0], theirs[0])


def test_a_file_that_ends_early_is_told(branched):
    content = branched.SerializeToString()
    for end in (1, 5, len(content) // 2, len(content) - 1):
        with pytest.raises(ValueError, match="ends early"):
            cut_at(content[:end], "first")
    with pytest.raises(ValueError, match="no field"):
        cut_at(b"\x0f\x01", "first")


def test_numbers_of_any_length_are_kept_as_they_are():
    model = onnx.ModelProto(ir_version=10, model_version=2**62, domain="é" * 200)
    model.graph.name = "empty"
    assert onnx.load_from_string(cut_at(model.SerializeToString(), "it")) == model
