"""Where a network is put: the memory order of its filters, and what becomes of freed memory."""

import platform
import subprocess
import sys

import pytest
import torch

from polyp.config import Config, configure
from polyp.model.network import build_model
from polyp.run.hardware import has_fast_bf16, to_device, to_training_device

WIDE = Config(widths=(4, 8))
ENCODER = configure("transfer", pretrained=False)


def is_channels_last(model):
    filters = (weight for weight in model.state_dict().values() if weight.ndim == 4 and min(weight.shape) > 1)
    return all(weight.is_contiguous(memory_format=torch.channels_last) for weight in filters)


@pytest.mark.parametrize("config", [WIDE, ENCODER])
def test_prediction_has_channels_last(config):
    assert is_channels_last(to_device(build_model(config), "cpu"))


@pytest.mark.parametrize(
    ("config", "precision", "last"),
    [(WIDE, "fp32", False), (WIDE, "bf16", True), (ENCODER, "fp32", True), (ENCODER, "bf16", True)],
)
def test_training_has_the_order_of_the_faster_gradient(config, precision, last):
    assert is_channels_last(to_training_device(build_model(config), "cpu", precision)) == last


def test_auto_is_what_the_processor_has():
    found = is_channels_last(to_training_device(build_model(WIDE), "cpu"))
    assert found == has_fast_bf16(torch.device("cpu"))


def test_a_network_that_predicted_can_go_on_learning():
    """Filters that are channels_last already get the other order back."""
    assert not is_channels_last(to_training_device(to_device(build_model(WIDE), "cpu"), "cpu", "fp32"))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's memory is kept")
def test_freed_memory_is_used_again_without_new_pages():
    pytest.importorskip("resource")
    code = """
import resource
import torch
from polyp.run.hardware import keep_memory

def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.zeros(48 * 2**20, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_memory(False)
given_back = new_pages()
keep_memory()
new_pages()
print(new_pages() < given_back / 10)
"""  # in a process of its own: what earlier tests left in memory decides where a tensor finds room
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
