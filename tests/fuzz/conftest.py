"""How many examples: few and always the same in `make test`, ten thousand in `make fuzz`."""

import os

import pytest
import torch
from hypothesis import HealthCheck, settings

SLOW_CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

settings.register_profile(
    "short",
    max_examples=40,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=SLOW_CHECKS,
)
settings.register_profile(
    "long",
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "10000")),
    deadline=None,
    print_blob=True,
    suppress_health_check=SLOW_CHECKS,
)
settings.load_profile(os.environ.get("FUZZ_PROFILE", "short"))


@pytest.fixture(autouse=True, scope="module")
def _small_work():
    """One thread and references of 32 pixels: thousands of tiny images gain by neither."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("styleaug.networks.STYLE_SIZE", 32)
        yield
    torch.set_num_threads(threads)
