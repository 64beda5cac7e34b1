"""The floor against arithmetic done by hand, and that it is one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perwatt.core.records import PairIdentity
from perwatt.predict.devices import Device, find_device
from perwatt.predict.models import ModelFacts, find_model
from perwatt.predict.roofline import (
    NoRoofline,
    Roofline,
    Weights,
    Work,
    peak_of,
    roofline,
    weights_of,
)

DEVICE = Device(
    name="Emulated 80GB",
    bandwidth_gb_s=1000,
    fp16_tflops=100,
    fp8_tflops=200,
    int8_tops=150,
    tdp_w=400,
    idle_w=50,
    source="made up",
)
DENSE = Weights(parameters=1e9, active=1e9, size_bytes=2e9, precision="fp16")


def found(work: Work, weights: Weights = DENSE, device: Device = DEVICE, n: int = 1) -> Roofline:
    floor = roofline(work, weights, device, n)
    assert isinstance(floor, Roofline)
    return floor


def test_one_request_at_a_time_is_prefill_and_then_decode() -> None:
    floor = found(Work(prompt_tokens=1000, decode_tokens=100, output_tokens=101))
    assert floor.prefill_s == pytest.approx(2e9 * 1000 / 100e12)  # 20 ms
    assert floor.decode_s == pytest.approx(100 * 2e9 / 1000e9)  # 200 ms: the weights, each step
    assert floor.seconds == pytest.approx(0.22)
    assert floor.bound == "memory"
    assert floor.idle_j == pytest.approx(0.22 * 50)
    assert floor.limit_j == pytest.approx(0.22 * 400)
    assert floor.flops == pytest.approx(2e9 * 1100)
    assert floor.decode_bytes == pytest.approx(2e11)


def test_a_batch_shares_the_weights_until_arithmetic_is_the_limit() -> None:
    eight = Work(prompt_tokens=0, decode_tokens=800, output_tokens=808, batch=8)
    assert found(eight).decode_s == pytest.approx(100 * 2e9 / 1000e9)
    many = Work(prompt_tokens=0, decode_tokens=10**6, output_tokens=10**6, batch=1000)
    assert found(many).bound == "arithmetic"
    assert found(many).decode_s == pytest.approx(2e9 * 1e6 / 100e12)


def test_overlapped_work_waits_for_the_busier_side_alone() -> None:
    work = Work(
        prompt_tokens=20_000, decode_tokens=100, output_tokens=101, batch=1, overlapped=True
    )
    assert found(work).seconds == pytest.approx(2e9 * 20_100 / 100e12)  # arithmetic: 402 ms
    few = Work(prompt_tokens=100, decode_tokens=100, output_tokens=101, overlapped=True)
    assert found(few).seconds == pytest.approx(0.2)  # memory


def test_context_is_read_at_every_step_where_its_size_is_known() -> None:
    weights = Weights(parameters=1e9, active=1e9, size_bytes=2e9, kv_bytes_per_token=1e5)
    work = Work(prompt_tokens=0, decode_tokens=10, output_tokens=11, context_tokens=50_000)
    assert found(work, weights).decode_bytes == pytest.approx(10 * 2e9 + 50_000 * 1e5)
    assert found(work).decode_bytes == pytest.approx(10 * 2e9)


def test_the_share_of_the_cache_grows_with_the_context() -> None:
    weights = Weights(parameters=1e9, active=1e9, size_bytes=2e9, kv_bytes_per_token=1e5)

    def share(context: int) -> float | None:
        work = Work(
            prompt_tokens=0, decode_tokens=10, output_tokens=11, context_tokens=10 * context
        )
        return found(work, weights).kv_share

    assert share(20_000) == pytest.approx(0.5)  # as many bytes as the weights
    assert share(0) == 0.0
    assert found(Work(prompt_tokens=0, decode_tokens=10, output_tokens=11)).kv_share is None


def test_the_cache_of_a_known_model_is_that_of_its_layers_and_heads() -> None:
    """The usual 128 KiB a token of Llama 3.1 8B, whatever its weights' precision."""
    for name, kib in (("Llama-3.1-8B", 128), ("Qwen3-8B-Q4_K_M.gguf", 144), ("SmolLM2-135M", 22.5)):
        facts = find_model(name)
        own = weights_of(identity(parameters=1000, model_bytes=600, precision="q4_0"), facts)
        assert isinstance(own, Weights)
        assert own.kv_bytes_per_token == kib * 1024
    windowed = find_model("google/gemma-3-4b-it")  # five of its six layers see 1,024 tokens alone
    own = weights_of(identity(parameters=1000, model_bytes=600), windowed)
    assert isinstance(own, Weights)
    assert own.kv_bytes_per_token is None


def test_experts_touch_more_weights_as_the_batch_grows() -> None:
    sparse = Weights(parameters=10e9, active=1e9, size_bytes=20e9)
    one = Work(prompt_tokens=0, decode_tokens=1, output_tokens=2)
    two = Work(prompt_tokens=0, decode_tokens=2, output_tokens=4, batch=2)
    assert found(one, sparse).decode_bytes == pytest.approx(0.1 * 20e9)
    assert found(two, sparse).decode_bytes == pytest.approx(0.19 * 20e9)
    assert found(one, sparse).flops == pytest.approx(2e9)


def test_devices_add_up() -> None:
    work = Work(prompt_tokens=1000, decode_tokens=100, output_tokens=101)
    one, two = found(work), found(work, n=2)
    assert two.seconds == pytest.approx(one.seconds / 2)
    assert two.limit_j == pytest.approx(one.limit_j)


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        ("fp16", ("fp16", 100)),
        ("bf16", ("fp16", 100)),
        ("awq", ("fp16", 100)),
        ("fp8", ("fp8", 200)),
        ("q4_k_m", ("int8", 150)),
        ("iq4_xs", ("int8", 150)),
        ("w8a8", ("int8", 150)),
        ("nvfp4", ("fp8", 200)),  # this device has no 4-bit arithmetic
        (None, ("fp8", 200)),  # unknown: the highest, so that the floor stays one
    ],
)
def test_the_peak_follows_the_precision(precision: str | None, expected: object) -> None:
    assert peak_of(DEVICE, precision) == expected


def test_a_real_device_gives_the_decode_speed_that_its_bandwidth_allows() -> None:
    h100 = find_device("NVIDIA H100 80GB HBM3")
    assert h100 is not None
    weights = Weights(parameters=8e9, active=8e9, size_bytes=16e9, precision="bf16")
    work = Work(prompt_tokens=0, decode_tokens=1000, output_tokens=1001)
    assert 1000 / found(work, weights, h100).decode_s == pytest.approx(3350 / 16, rel=1e-6)


def test_what_is_not_known_is_said() -> None:
    work = Work(prompt_tokens=10, decode_tokens=1, output_tokens=2)
    slow = Device(name="X", fp16_tflops=1, source="made up")
    for device, words in ((slow, "bandwidth of X"), (Device(name="Y", source="s"), "peak of Y")):
        none = roofline(work, DENSE, device)
        assert isinstance(none, NoRoofline)
        assert words in none.reason
    empty = roofline(Work(prompt_tokens=0, decode_tokens=0, output_tokens=0), DENSE, DEVICE)
    assert isinstance(empty, NoRoofline)
    bare = Device(name="Z", bandwidth_gb_s=100, fp16_tflops=1, source="made up")
    assert found(work, device=bare).idle_j is None
    assert found(work, device=bare).limit_j is None


def identity(**own: object) -> PairIdentity:
    return PairIdentity(pair_id="m", label="M", model="m", engine="e", **own)  # type: ignore[arg-type]


def test_weights_come_from_the_file_then_from_the_catalogue() -> None:
    sparse = ModelFacts(name="m", parameters_b=30, active_b=3, source="made up")
    own = weights_of(identity(parameters=1000, model_bytes=600, precision="q4_0"), None)
    assert own == Weights(parameters=1000, active=1000, size_bytes=600, precision="q4_0")
    told = weights_of(identity(precision="fp8"), sparse)
    assert told == Weights(parameters=30e9, active=3e9, size_bytes=30e9, precision="fp8")
    for none in (weights_of(identity(), None), weights_of(identity(parameters=1000), None)):
        assert isinstance(none, NoRoofline)


@settings(max_examples=40, deadline=None)
@given(
    prompt=st.integers(0, 10**6),
    decode=st.integers(1, 10**6),
    batch=st.floats(1, 512),
    share=st.floats(0.02, 1),
)
def test_more_work_never_takes_less_and_overlap_never_more(
    prompt: int, decode: int, batch: float, share: float
) -> None:
    weights = Weights(parameters=1e9, active=1e9 * share, size_bytes=1e9)

    def floor(more: int = 0, overlapped: bool = False) -> Roofline:
        return found(
            Work(
                prompt_tokens=prompt + more,
                decode_tokens=decode + more,
                output_tokens=decode + more + 1,
                batch=batch,
                overlapped=overlapped,
            ),
            weights,
        )

    assert floor(1).seconds > floor().seconds
    assert floor(overlapped=True).seconds <= floor().seconds * (1 + 1e-12)
    least = max(floor().decode_s, floor().prefill_s)
    assert floor(overlapped=True).seconds >= least * (1 - 1e-12)
