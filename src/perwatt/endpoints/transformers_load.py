"""Weights, tokenizer and device of the transformers engine. Runs in its child process."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from perwatt.endpoints.in_process_child import Refusal

__all__ = ["Loaded", "load"]


class Loaded(NamedTuple):
    """A model ready to be asked."""

    torch: Any
    transformers: Any
    model: Any
    tokenizer: Any
    decode: Callable[[Sequence[int]], str]
    end_ids: frozenset[int]
    dtype: str
    """What it computes in, such as `bfloat16`."""
    quantization: str | None
    """How its weights are packed, such as `awq-4bit`; None: they are not."""
    parameters: int
    chat_template: bool
    accelerator: str | None
    """Its name; None: it runs on the processor."""
    version: str
    settings: dict[str, Any]
    warnings: list[str]


def load(config: dict[str, Any]) -> Loaded:
    """Raises Refusal for what a person can mend."""
    options = config["options"]
    if options.get("local_files_only", True):
        os.environ["HF_HUB_OFFLINE"] = "1"  # read when it is imported
    os.environ["TQDM_DISABLE"] = "1"  # bars would be most of the log
    torch = importlib.import_module("torch")
    transformers = importlib.import_module("transformers")
    torch.set_num_threads(config["threads"])
    transformers.utils.logging.disable_progress_bar()
    device = _device(torch, options.get("device"))
    given: dict[str, Any] = {
        "local_files_only": options.get("local_files_only", True),
        "trust_remote_code": options.get("trust_remote_code", False),
    }
    if config["gguf"]:
        given["gguf_file"] = config["gguf"]
        if packs := getattr(transformers, "GgufConfig", None):
            # Some versions can leave weights packed, if they can fetch kernels from a hub: what is
            # measured must not depend on that.
            given["quantization_config"] = packs(dequantize=True)
    # De-quantised weights have no type of their own; a checkpoint's is its author's choice.
    default = ("float32" if device.type == "cpu" else "bfloat16") if config["gguf"] else "auto"
    dtype = config["dtype"] or default
    kind = dtype if dtype == "auto" else getattr(torch, dtype)
    if attention := options.get("attn_implementation"):
        given["attn_implementation"] = attention
    of_model = {"attn_implementation", "quantization_config"}
    tokenizer_given = {k: v for k, v in given.items() if k not in of_model}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(config["place"], **tokenizer_given)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            config["place"], **{_dtype_name(transformers): kind}, **given
        )
    except (OSError, ValueError, ImportError) as error:
        raise _refusal(config, error) from None
    model = model.to(device).eval()
    parameters = list(model.parameters())
    on_device = device.type != "cpu"
    return Loaded(
        torch=torch,
        transformers=transformers,
        model=model,
        tokenizer=tokenizer,
        decode=lambda ids: str(tokenizer.decode(ids, skip_special_tokens=True)),
        end_ids=_end_ids(model, tokenizer),
        dtype=str(parameters[0].dtype).removeprefix("torch."),
        quantization=None if config["gguf"] else _quantization(model.config),
        parameters=sum(parameter.numel() for parameter in parameters),
        chat_template=bool(tokenizer.chat_template),
        accelerator=_name(torch, device) if on_device else None,
        version=str(transformers.__version__),
        settings={
            "device": str(device),
            "threads": torch.get_num_threads(),
            "torch": str(torch.__version__),
            "attention": str(getattr(model.config, "_attn_implementation", None)),
            "revision": getattr(model.config, "_commit_hash", None),
        },
        warnings=_warnings(model, config["context"]),
    )


def _device(torch: Any, asked: str | None) -> Any:
    if asked is None:
        asked = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(asked)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        msg = f"The device {asked} cannot be used: {str(error).splitlines()[0].rstrip('.')}."
        raise Refusal(msg, 'Leave out the option device, or give "cpu".') from None
    return device


def _name(torch: Any, device: Any) -> str:
    return str(torch.cuda.get_device_name(device)) if device.type == "cuda" else str(device)


def _dtype_name(transformers: Any) -> str:
    """`torch_dtype` until 4.56."""
    major, minor = (int(part) for part in transformers.__version__.split(".")[:2])
    return "dtype" if (major, minor) >= (4, 56) else "torch_dtype"


def _quantization(config: Any) -> str | None:
    """Of a checkpoint that was saved packed; a dictionary or an object, by version."""
    packed = getattr(config, "quantization_config", None)
    if packed is None:
        return None
    told = packed if isinstance(packed, dict) else packed.to_dict()
    method = str(getattr(told.get("quant_method"), "value", told.get("quant_method")))
    return f"{method}-{told['bits']}bit" if told.get("bits") else method


def _end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    named = getattr(model.generation_config, "eos_token_id", None)
    found = named if isinstance(named, (list, tuple)) else [named]
    return frozenset(i for i in (*found, tokenizer.eos_token_id) if i is not None)


def _warnings(model: Any, context: int) -> list[str]:
    trained = getattr(model.config, "max_position_embeddings", None)
    if trained is not None and context > trained:
        return [f"The model was trained on {trained} tokens of context and is given {context}."]
    return []


def _refusal(config: dict[str, Any], error: Exception) -> Refusal:
    first = str(error).strip().splitlines()[0][:300].rstrip(".")
    msg = f"transformers cannot load {config['place']}: {first}."
    if isinstance(error, ImportError):
        return Refusal(msg, "Install what it names.")
    if isinstance(error, OSError) and config["options"].get("local_files_only", True):
        return Refusal(
            msg,
            "Only local files were looked for; --extra-body '{\"local_files_only\": false}' lets"
            " transformers fetch it.",
        )
    return Refusal(msg, "Give a causal language model that this version of transformers knows.")
