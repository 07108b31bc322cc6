"""The style network in PyTorch, ONNX Runtime and OpenVINO, quantized and not."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.speed.exportable import Exportable
from styleaug import StylePack
from styleaug.networks import stylizer_of
from styleaug.nn.fused import FusedStyleNet

CPU = torch.device("cpu")
BF16, FP32, OPENVINO = "PyTorch bf16", "PyTorch fp32", "OpenVINO bf16"
KEPT = ("/stem/Conv", "/out/Conv")
"""Not quantized: a tenth of the work; an error of their pixels is an error of the picture."""

PIECE = 2
"""Images of 256 x 256 that stages take at a time on a CPU."""

Feed = dict[str, Tensor]
"""A batch: images, code and noise, as StyleNet takes them."""
Run = Callable[[Feed], Tensor]


def in_torch(pack: StylePack, dtype: torch.dtype) -> Run:
    """The network as Restyle runs it: fused, a piece of the batch at a time."""
    net = FusedStyleNet(stylizer_of(pack, CPU, torch.float32).net)
    net = net.to(memory_format=torch.channels_last).to(dtype)

    @torch.no_grad()
    def run(feed: Feed) -> Tensor:
        pieces = zip(*(torch.split(values, PIECE) for values in feed.values()), strict=True)
        return torch.cat([net(*piece) for piece in pieces])

    return run


def as_arrays(feed: Feed) -> dict[str, Any]:
    """A batch for runtimes that know no tensors."""
    return {name: values.numpy() for name, values in feed.items()}


def networks(
    pack: StylePack, calibration: Sequence[Feed], threads: int, place: Path
) -> dict[str, Run]:
    """The contestants; the exported and the quantized networks are written to ``place``."""
    import nncf
    import onnxruntime
    import openvino
    from onnxruntime import quantization as quant

    exported, quantized = place / "network.onnx", place / "int8.onnx"
    arrays = [as_arrays(feed) for feed in calibration]
    plain = Exportable(stylizer_of(pack, CPU, torch.float32).net).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further package is deprecated
        torch.onnx.export(
            plain, tuple(calibration[0].values()), exported, dynamo=False, opset_version=18,
            input_names=list(calibration[0]),
        )  # fmt: skip

    class Reader(quant.CalibrationDataReader):
        left = iter(arrays)

        def get_next(self) -> Any:
            return next(self.left, None)

    kinds = {"activation_type": quant.QuantType.QUInt8, "weight_type": quant.QuantType.QInt8}
    quant.quantize_static(
        exported, quantized, Reader(), quant_format=quant.QuantFormat.QDQ, per_channel=True,
        op_types_to_quantize=["Conv"], nodes_to_exclude=list(KEPT), **kinds,
    )  # fmt: skip
    core = openvino.Core()
    model = core.read_model(exported)
    operators = model.get_ordered_ops()
    kept = [op.get_friendly_name() for op in operators if op.get_friendly_name().startswith(KEPT)]
    others = {op.get_type_name() for op in operators} - {"Convolution", "Pad", "Relu", "Constant"}
    ignored = nncf.IgnoredScope(names=kept, types=sorted(others | {"MVN"}), validate=False)
    small = nncf.quantize(
        model, nncf.Dataset(arrays), subset_size=len(arrays), ignored_scope=ignored
    )

    def onnx(path: Path) -> Run:
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, settings, ["CPUExecutionProvider"])
        return lambda feed: torch.from_numpy(session.run(None, as_arrays(feed))[0])

    def vino(model: Any, precision: str) -> Run:
        settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads}
        request = core.compile_model(model, "CPU", settings).create_infer_request()
        return lambda feed: torch.from_numpy(
            request.infer(as_arrays(feed), share_inputs=True)[0].copy()
        )

    return {
        BF16: in_torch(pack, torch.bfloat16),
        FP32: in_torch(pack, torch.float32),
        "ONNX Runtime fp32": onnx(exported),
        "ONNX Runtime int8": onnx(quantized),
        "OpenVINO fp32": vino(model, "f32"),
        OPENVINO: vino(model, "bf16"),
        "OpenVINO int8": vino(small, "bf16"),
    }


def convolution(conv: nn.Conv2d, x: Tensor) -> tuple[Run, Run]:
    """One in PyTorch on its padded input, in bf16 and in int8; what comes out is bf16."""
    onednn, side = torch.ops.onednn, conv.padding[0]
    x = F.pad(x, [side] * 4, mode="reflect").contiguous(memory_format=torch.channels_last)
    weight, bias = conv.weight.detach(), conv.bias.detach()
    where = (conv.stride, (0, 0), conv.dilation, 1)
    half = [t.bfloat16().contiguous(memory_format=torch.channels_last) for t in (x, weight)]
    half.append(bias.bfloat16())
    step, zero = x.abs().max().item() / 127, 128
    pixels = (x / step + zero).round().to(torch.uint8)
    scales = weight.abs().amax((1, 2, 3)) / 127
    small = (weight / scales[:, None, None, None]).round().to(torch.int8)
    packed = onednn.qconv_prepack(small, scales, step, zero, *where, list(x.shape))
    rest = (scales, torch.zeros_like(scales, dtype=torch.int64), bias, *where)
    out = (1.0, 0, torch.bfloat16, "none", [], "")
    return (
        lambda _: F.conv2d(*half, *where),
        lambda _: onednn.qconv_pointwise(pixels, step, zero, packed, *rest, *out),
    )


def convolutions(pack: StylePack, feed: Feed) -> dict[str, tuple[Run, Run]]:
    """Each of the network, on what it gets there."""
    plain = Exportable(stylizer_of(pack, CPU, torch.float32).net)
    found: dict[nn.Module, tuple[Run, Run]] = {}

    def look(conv: nn.Module, given: tuple[Tensor]) -> None:
        found[conv] = convolution(conv, *given)

    named = {m: name for name, m in plain.named_modules() if isinstance(m, nn.Conv2d)}
    hooks = [conv.register_forward_pre_hook(look) for conv in named]
    with torch.no_grad():
        plain(**feed)
    for hook in hooks:
        hook.remove()
    return {named[conv]: pair for conv, pair in found.items()}
