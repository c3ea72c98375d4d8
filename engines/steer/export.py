"""Steering for other programs: safetensors with all of the spec, GGUF for llama.cpp and repeng, a spec for EasySteer.

Other programs mean other things by strength and by place. Vectors are exported as what is added, alpha * norm_ref * v, so
that their strength is 1; what they cannot express is refused, and what they do otherwise is said in the notes.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from engines.recipe.errors import RecipeError
from engines.run import write_whole
from engines.steer.directions import Steering
from engines.steer.spec import Schedule, SteerSpec, Where

FORMAT = "steering 1"
GGUF = "vector.gguf"
EASYSTEER = "easysteer.json"


def deltas(steering: Steering) -> dict[int, torch.Tensor]:
    """Layer: what is added to each steered token, in float32."""
    spec = steering.spec
    return {
        layer: ((spec.alpha * spec.norm_ref[layer]) * steering.vectors[layer].double()).float().contiguous()
        for layer in spec.layers
    }


def save_steering(steering: Steering, path: Path) -> Path:
    """A safetensors file with `layer.N` (what is added), `unit.N` and the whole spec as metadata."""
    tensors = {f"layer.{layer}": delta for layer, delta in deltas(steering).items()}
    tensors |= {
        f"unit.{layer}": steering.vectors[layer].detach().to("cpu", torch.float32).contiguous()
        for layer in steering.spec.layers
    }
    metadata = {"format": FORMAT, "spec": steering.spec.model_dump_json(), "hash": steering.key}
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(_in_order(save(tensors, metadata)))
    partial.replace(path)
    return path


def _in_order(written: bytes) -> bytes:
    """The same file with its header sorted: safetensors puts metadata into a random order, a new one in each process."""
    end = 8 + int.from_bytes(written[:8], "little")
    header = json.dumps(json.loads(written[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + written[end:]


def load_steering(path: Path) -> Steering:
    """The steering that `save_steering` wrote. RecipeError where spec and vectors are not what was saved together."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise RecipeError(
            f"steering: {path} cannot be read: {error}", hint="name a file that a steering job left"
        ) from error
    if metadata.get("format") != FORMAT:
        raise RecipeError(
            f"steering: {path} is not a steering file of this program (format: {metadata.get('format')})",
            hint="name a file that a steering job left",
        )
    spec = SteerSpec.model_validate_json(metadata["spec"])
    if spec.hash() != metadata["hash"]:
        raise RecipeError(
            f"steering: the spec in {path} is not the one that was saved",
            hint="export it again from its job; a later version may read specs otherwise",
        )
    return Steering(spec, {layer: tensors[f"unit.{layer}"] for layer in spec.layers})


def save_gguf(steering: Steering, path: Path, model_type: str) -> list[str]:
    """A control vector for llama.cpp, which repeng reads as well. Returns notes on what they do otherwise.

    `direction.N` is added to the output of block N in both. llama.cpp has no buffer for block 0."""
    try:
        import gguf
    except ModuleNotFoundError as error:
        raise RecipeError("export: the gguf package is not installed", hint="`pip install gguf`") from error
    spec = steering.spec
    _require_plain_addition(spec, "GGUF")
    if 0 in spec.layers:
        raise RecipeError(
            "export: a GGUF control vector cannot steer block 0",
            hint="steer later layers, or export to safetensors",
        )
    partial = path.with_name(path.name + ".partial")
    writer = gguf.GGUFWriter(partial, "controlvector")
    writer.add_string("controlvector.model_hint", model_type)
    writer.add_uint32("controlvector.layer_count", len(spec.layers))
    for layer, delta in deltas(steering).items():
        writer.add_tensor(f"direction.{layer}", delta.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.replace(path)
    return _notes(spec)


def easysteer_spec(steering: Steering, gguf_file: str) -> dict[str, Any]:
    """A `SteeringSpec` for EasySteer as JSON, to be used with the GGUF file of the same steering."""
    spec = steering.spec
    _require_plain_addition(spec, "EasySteer")
    vector = {
        "source": gguf_file,
        "algorithm": "direct",
        "scale": 1.0,
        "layers": list(spec.layers),
        "normalize": False,
        "apply": _apply(spec.where),
        "name": steering.key[:16],
    }
    return {"vectors": [vector], "conflict": "error"}


def save_easysteer(steering: Steering, directory: Path, model_type: str) -> list[str]:
    """`vector.gguf` and `easysteer.json`, which names it by its name alone, so that both can be moved together."""
    notes = save_gguf(steering, directory / GGUF, model_type)
    write_whole(directory / EASYSTEER, json.dumps(easysteer_spec(steering, GGUF), indent=2) + "\n")
    return [note for note in notes if "every token" not in note]


def leave_exports(steering: Steering, directory: Path, model_type: str) -> tuple[dict[str, Path], list[str]]:
    """Forms for other programs by name, as far as they can say what this steering does, and notes: on what they do
    otherwise, or on why there is none. `gguf` is for llama.cpp and repeng, `easysteer` names it."""
    directory.mkdir(parents=True, exist_ok=True)
    try:
        notes = save_gguf(steering, directory / GGUF, model_type)
        save_easysteer(steering, directory, model_type)
    except RecipeError as error:
        return {}, [str(error)]
    return {"gguf": directory / GGUF, "easysteer": directory / EASYSTEER}, notes


def _require_plain_addition(spec: SteerSpec, form: str) -> None:
    """The one thing that all programs do: add one vector to a block's output, always the same."""
    constant = isinstance(spec.schedule, Schedule) and spec.schedule.kind == "const"
    if spec.op != "add" or spec.site != "block_out" or not constant or spec.alpha == 0:
        raise RecipeError(
            f"export: {form} adds the same vector to blocks' outputs, and this steering does something else "
            f"(site {spec.site}, op {spec.op}, schedule {spec.schedule.kind}, alpha {spec.alpha:g})",
            hint="export to safetensors, which holds all of it",
        )


def _apply(where: Where) -> dict[str, Any]:
    """EasySteer's where-clause. Within its phases it takes the union of all selectors, or everything without any, so
    that a selector for one phase needs one for the other."""
    clause: dict[str, Any] = {}
    if where.prompt == "last":
        clause["prompt_positions"] = [-1]
    elif where.prompt_window is not None:
        start, stop = where.prompt_window
        clause["prompt_window"] = [start, None if stop == 0 else stop]
    elif where.prompt == "all":
        clause["prompt_window"] = [0, None]
    if where.generation == "all":
        clause["generation_window"] = [0, None]
    elif where.generation_window is not None:
        clause["generation_window"] = list(where.generation_window)
    elif where.generation == "tokens":
        clause["generation_tokens"] = list(where.tokens)
    phases = [
        phase for phase, on in (("prompt", where.prompt), ("generation", where.generation)) if on != "none"
    ]
    return {"phases": phases, **clause}


def _notes(spec: SteerSpec) -> list[str]:
    notes = []
    if spec.where.prompt != "all" or spec.where.generation != "all":
        notes.append(
            f"llama.cpp and repeng add the vector at every token; this steering was measured with prompt: "
            f"{spec.where.prompt}, generation: {spec.where.generation}"
        )
    return notes
