"""Networks as ONNX: in float32, in float16, and quantized to 8 bits."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from styleaug.errors import MissingExtraError
from styleaug.export.graphs import Part

OPSET = 20
"""Of ONNX: ONNX Runtime 1.17, of early 2024, is the first that runs it."""

_KEPT = ("InstanceNormalization", "Resize", "ReduceSum", "ReduceMean", "AveragePool", "Pow")
"""Sums over many pixels, which float16 cannot hold."""


def require() -> None:
    """Raise if a package of the extra ``export`` is missing.

    Raises:
        MissingExtraError: if one is.
    """
    for name in ("onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(name)
        except ImportError as error:
            raise MissingExtraError(name, "export") from error


def write_fp32(part: Part, path: Path, metadata: Mapping[str, str]) -> None:
    """Export a network as ONNX."""
    import onnx

    with _quiet():
        program = torch.onnx.export(
            part.graph,
            tuple(part.example.values()),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=list(part.example),
            output_names=[part.output],
            dynamic_shapes=[part.dims.get(name) for name in part.example],
            external_data=False,
        )
    assert program is not None
    model = program.model_proto
    _name_sides(model, part)
    onnx.helper.set_model_props(model, dict(metadata))
    model.producer_name, model.doc_string = "styleaug", ""
    onnx.checker.check_model(model)
    _save(model, path)


def _save(model: Any, path: Path) -> None:
    """Write a network without what only its exporter needs: a third of what a small one takes."""
    import onnx

    graph = model.graph
    del graph.value_info[:]  # shapes of what lies between
    fixed = {value.name for value in (*graph.input, *graph.output, *graph.initializer)} | {""}
    short: dict[str, str] = {}
    for number, node in enumerate(graph.node):
        del node.metadata_props[:]  # where in PyTorch it came from
        node.doc_string, node.name = "", f"{node.op_type}{number}"
        for names in (node.input, node.output):
            for k, name in enumerate(names):
                if name not in fixed:
                    names[k] = short.setdefault(name, f"v{len(short)}")
    onnx.save(model, path)


def _name_sides(model: Any, part: Part) -> None:
    """Call dimensions by what they are, not by symbols."""
    sides = {0: "batch", 2: "height", 3: "width"}
    for value in (*model.graph.input, *model.graph.output):
        for k, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.dim_param:
                dim.dim_param = "side" if part.name == "encoder" else sides[k]


def write_fp16(source: Path, path: Path) -> None:
    """Halve a network; what it takes and gives stays float32."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with _quiet():
        model = convert_float_to_float16(
            onnx.load(source), keep_io_types=True, op_block_list=list(_KEPT)
        )
    _save(model, path)


def write_int8(
    source: Path, path: Path, feeds: Sequence[Mapping[str, Tensor]], *, kept: Sequence[str]
) -> None:
    """Quantize convolutions and products, statically, weights channel by channel.

    Args:
        source: the network in float32.
        path: what to write.
        feeds: what it takes, to see the range of what lies between.
        kept: weights whose operators stay in float32, as beginnings of their names.
    """
    import onnx
    from onnxruntime import quantization

    left = iter([{k: v.numpy() for k, v in feed.items()} for feed in feeds])

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> Any:
            return next(left, None)

    nodes = onnx.load(source).graph.node
    spared = [n.name for n in nodes if any(i.startswith(tuple(kept)) for i in n.input)]
    # a scale for each output would take as much room as it saves, and brings nothing there
    whole = {
        n.input[1]: [{"quant_type": quantization.QuantType.QInt8}]
        for n in nodes
        if n.op_type == "Gemm"
    }
    with _quiet():
        quantization.quantize_static(
            str(source),
            str(path),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=["Conv", "Gemm"],
            nodes_to_exclude=spared,
            extra_options={"QuantizeBias": False, "TensorQuantOverrides": whole},
        )
    _save(onnx.load(path), path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Exporters tell much that a user can do nothing about."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
