"""What the benchmark of int8 compares, without the runtimes that it needs."""

import pytest
import torch

from benchmarks.speed import int8
from benchmarks.speed.exportable import Exportable
from benchmarks.speed.runtimes import convolution
from styleaug.nn.blocks import reflect_conv
from styleaug.nn.stylenet import StyleNetConfig
from styleaug.runtime import initializing

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("residuals", [0, 2])
def test_the_exported_network_computes_what_the_network_computes(residuals):
    config = StyleNetConfig(stem=4, width=8, embedding=5, style_residuals=residuals)
    with initializing(0):
        net = config.build().eval()
    generator = torch.Generator().manual_seed(0)
    for weights in net.parameters():  # some start at 0
        weights.data.add_(0.1 * torch.randn(weights.shape, generator=generator))
    images = torch.rand(2, 3, 24, 36, generator=generator)
    code = torch.rand(2, config.code_size, generator=generator)
    noise = torch.randn(2, 1, 24, 36, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(
            Exportable(net)(images, code, noise), net(images, code, noise), atol=1e-4, rtol=0
        )


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_a_convolution_in_int8_is_near_the_one_in_bf16(stride, dilation):
    with initializing(0):
        conv = reflect_conv(8, 16, 3, stride=stride, dilation=dilation)
    x = torch.rand(2, 8, 12, 20, generator=torch.Generator().manual_seed(0)) - 0.5
    half, small = (run({}).float() for run in convolution(conv, x))
    assert half.shape == small.shape
    torch.testing.assert_close(half, conv(x).detach(), atol=0.01, rtol=0)
    torch.testing.assert_close(small, conv(x).detach(), atol=0.02, rtol=0)


def test_batches_calibrate_and_test_in_turn():
    data = {"images": torch.arange(8), "code": torch.arange(8) + 10}
    calibration, tests = (int8.batches(data, first, 2) for first in (0, 1))
    assert [feed["images"].tolist() for feed in calibration] == [[0, 2], [4, 6]]
    assert [feed["code"].tolist() for feed in tests] == [[11, 13], [15, 17]]


def test_ratios_are_taken_round_by_round():
    found = int8.compare({"a": [1.0, 4.0, 2.0], "b": [2.0, 2.0, 2.0]}, "b")
    assert [(r["contestant"], r["over"], r["median"]) for r in found] == [
        ("a", None, 2.0), ("a", "b", 1.0), ("b", None, 2.0)
    ]  # fmt: skip


def test_a_missing_runtime_is_named_with_what_installs_it():
    with pytest.raises(SystemExit, match=r"needs no_such_runtime: pip install torch no_such_"):
        int8.require(("torch", "no_such_runtime"))
