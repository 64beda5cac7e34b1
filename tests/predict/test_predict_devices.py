"""The device catalogue: names as drivers give them find one device, or none."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.predict.devices import Device, device_key, devices, find_device

KNOWN = [
    ("NVIDIA H100 80GB HBM3", "H100 SXM5 80GB"),
    ("NVIDIA H100 PCIe", "H100 PCIe 80GB"),
    ("NVIDIA H100 NVL", "H100 NVL 94GB"),
    ("NVIDIA A100-SXM4-40GB", "A100 SXM4 40GB"),
    ("NVIDIA A100 80GB PCIe", "A100 PCIe 80GB"),
    ("NVIDIA H200", "H200 SXM 141GB"),
    ("NVIDIA GeForce RTX 4090", "RTX 4090"),
    ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada"),
    ("Quadro RTX 6000", "Quadro RTX 6000"),
    ("Tesla V100-SXM2-32GB", "V100 SXM2 32GB"),
    ("AMD Instinct MI300X", "MI300X"),
    ("Apple M4 Max", "Apple M4 Max (40-core GPU)"),
    ("AMD EPYC 9654 96-Core Processor", "EPYC 9654"),
    ("Intel(R) Xeon(R) Platinum 8480+", "Xeon Platinum 8480+"),
    ("13th Gen Intel(R) Core(TM) i7-13700K", "Core i7-13700K"),
    ("AMD RYZEN AI MAX+ 395 w/ Radeon 8060S", "Ryzen AI Max+ 395"),
]
NOT_ONE = [
    "A100",
    "H100",
    "NVIDIA",
    "AMD EPYC",
    "NVIDIA GeForce RTX 4090 Laptop GPU",
    "Tesla V100-SXM2-16GB",
    "Intel(R) Xeon(R) Platinum 8480C",
    "8x NVIDIA H100 80GB HBM3",
    "NVIDIA A10G",
    "",
]


@pytest.mark.parametrize(("text", "name"), KNOWN)
def test_a_drivers_name_finds_its_device(text: str, name: str) -> None:
    found = find_device(text)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("text", NOT_ONE)
def test_a_name_of_none_or_of_several_finds_none(text: str) -> None:
    assert find_device(text) is None


def test_no_two_devices_share_a_spelling() -> None:
    keys = Counter(key for d in devices() for key in {device_key(n) for n in (d.name, *d.aliases)})
    assert [key for key, count in keys.items() if count > 1 or not key] == []


def test_every_device_has_its_source_and_plausible_figures() -> None:
    for device in devices():
        assert device.source
        assert device.place is not None
        if device.idle_w is not None and device.tdp_w is not None:
            assert device.idle_w < device.tdp_w, device.name
        peaks = [device.fp16_tflops, device.fp8_tflops, device.fp4_tflops]
        given_peaks = [peak for peak in peaks if peak is not None]
        assert given_peaks == sorted(given_peaks), device.name


def test_the_studys_own_figures() -> None:
    """arXiv 2511.07885v4, table 7."""
    m4, a100 = find_device("M4 Max Studio 128GB"), find_device("NVIDIA A100-SXM4-40GB")
    assert m4 is not None
    assert a100 is not None
    assert (m4.memory_gb, m4.bandwidth_gb_s) == (128, 546)
    assert (a100.bandwidth_gb_s, a100.tdp_w) == (1555, 400)


def test_a_users_device_goes_before_ours() -> None:
    mine = Device(name="Mine", aliases=("NVIDIA H200",), source="me")
    assert find_device("H200", (mine,)) is mine
    assert find_device("MINE", (mine,)) is mine
    assert find_device("H200") is not mine


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([d.name for d in devices()]), st.booleans(), st.sampled_from(["-", " ", "_"])
)
def test_case_vendor_and_punctuation_do_not_matter(name: str, upper: bool, between: str) -> None:
    vendor = "NVIDIA" + between
    text = vendor + name.replace(" ", between)
    found = find_device(text.upper() if upper else text.lower())
    assert found is not None
    assert found.name == name
