"""Weights on this machine: what a file or a folder offers, where an experiment's weights are, and what they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from dynamometer.domain.experiment import Weights
from dynamometer.domain.record import ModelFacts
from dynamometer.domain.variant import Offer, Variant
from dynamometer.errors import PreconditionError
from dynamometer.sources import safetensors
from dynamometer.sources.cache import default_cache
from dynamometer.sources.demo import demo_path
from dynamometer.sources.gguf import GgufError, Header, read_header
from dynamometer.sources.hashes import sha256_of
from dynamometer.sources.quants import is_projector, quant_of, shard_of

MAX_FILES = 10_000


def discover(ref: str, base: Path) -> Offer:
    """What lies at ``ref``: a GGUF file, a folder of GGUF files, or a folder with safetensors and config.json.

    ``ref`` is the path as the campaign writes it, relative to ``base``. Never raises for what is or is not there: an
    offer without variants has the reason, and ``skipped`` names files that were left out.
    """
    try:
        path = _place(ref, base)
        if path.is_dir():
            return _discover_folder(path, ref)
        if path.is_file():
            return _discover_file(path, ref)
        if path.is_symlink():
            return Offer(missing=f"{ref}: a link to {path.readlink()}, which cannot be followed")
        exists = path.exists()
    except (OSError, RuntimeError, ValueError) as error:
        return Offer(missing=f"{ref}: {_why(error)}")
    problem = "not a regular file" if exists else f"no such file or folder (looked for {path})"
    return Offer(missing=f"{ref}: {problem}")


def locate(weights: Weights, *, base: Path, cache_dir: Path) -> Path:
    """Where an experiment's weights are; ``base`` is the folder that relative paths start from.

    Raises PreconditionError when they are not there, or when their source is not supported yet.
    """
    if weights.source == "demo":
        found = demo_path(cache_dir, weights.ref)
        if found is None:
            raise PreconditionError(
                f"the demo model {weights.ref} is not in the cache", f"run: dyno model fetch {weights.ref}"
            )
        return found
    if weights.source != "path":
        raise PreconditionError(
            f"{weights.ref}: weights from the source {weights.source!r} are not available yet",
            "download the model and give its path",
        )
    place = _place(weights.ref, base)
    path = place / weights.file if weights.file else place
    if weights.file and not path.resolve().is_relative_to(place.resolve()) and not path.is_symlink():
        raise PreconditionError(f"{weights.file} lies outside {weights.ref}")
    if not path.exists():
        raise PreconditionError(f"no weights at {path}", "check the path of the model; relative ones start at the file")
    if weights.format == "gguf" and path.is_dir():
        raise PreconditionError(f"{path} is a folder, and no file of it was chosen", "name the quantisation")
    return path.resolve()


def model_facts(name: str, path: Path, weights: Weights, *, cache_dir: Path | None = None) -> ModelFacts:
    """The weights as they are at ``path``, with their hash, which is remembered in the cache (the user's own if None).

    Raises PreconditionError when they are gone, unreadable or damaged.
    """
    try:
        files = _parts(path)
        headers = [read_header(file) for file in files if file.suffix == ".gguf"]
        sha256 = sha256_of(files, cache_dir=cache_dir or default_cache())
        size = sum(file.stat().st_size for file in files)
    except (GgufError, OSError) as error:
        raise PreconditionError(f"{path}: {_why(error)}", "download the model again") from error
    types = Counter[str]()
    for header in headers:
        types.update(header.tensor_types)
    return ModelFacts(
        name=name,
        file=path.name,
        size_bytes=size,
        sha256=sha256,
        quant=weights.quant or _quant(path, headers),
        architecture=headers[0].architecture if headers else safetensors.architecture(path),
        tensor_types=dict(types.most_common()),
    )


def _place(ref: str, base: Path) -> Path:
    return base / Path(ref).expanduser()


def _discover_file(path: Path, ref: str) -> Offer:
    if path.suffix != ".gguf":
        return Offer(missing=f"{ref}: not a .gguf file; for safetensors give the folder that holds config.json")
    if is_projector(path.name):
        return Offer(missing=f"{ref}: a projector (mmproj) belongs to a model and is none itself")
    variant = _variant(path, ref, None)
    return Offer(variants=(variant,)) if isinstance(variant, Variant) else Offer(missing=f"{ref}: {variant}")


def _discover_folder(folder: Path, ref: str) -> Offer:
    found = _gguf_files(folder)
    if len(found) > MAX_FILES:
        return Offer(missing=f"{ref}: more than {MAX_FILES:,} files; name one")
    if not found:
        return _discover_safetensors(folder, ref)
    models = [path for path in found if not is_projector(path.name) and _leads(path)]
    looked = [(path, _variant(path, ref, path.relative_to(folder).as_posix())) for path in models]
    variants = tuple(variant for _, variant in looked if isinstance(variant, Variant))
    skipped = tuple(f"{path.relative_to(folder)}: {why}" for path, why in looked if isinstance(why, str))
    if not variants:
        return Offer(missing=f"{ref}: {'; '.join(skipped) or 'only projectors (mmproj), or parts without the first'}")
    counts = Counter(variant.quant for variant in variants)
    doubled = [variant for variant in variants if counts[variant.quant] > 1]
    if doubled:
        names = ", ".join(variant.file or "" for variant in doubled)
        return Offer(missing=f"{ref}: several files of one quantisation ({names}); give the path of the one you mean")
    return Offer(variants=variants, skipped=skipped)


def _discover_safetensors(folder: Path, ref: str) -> Offer:
    try:
        size = safetensors.check(folder)
    except ValueError as error:
        return Offer(missing=f"{ref}: {error}")
    return Offer(variants=(Variant(format="safetensors", source="path", ref=ref, size_bytes=size),))


def _variant(path: Path, ref: str, file: str | None) -> Variant | str:
    """The variant that a GGUF file is, or the reason why it is none."""
    try:
        parts = _parts(path)
        headers = [read_header(part) for part in parts]
    except (GgufError, OSError) as error:
        return _why(error)
    if headers[0].is_projector:
        return "a projector (mmproj) belongs to a model and is none itself"
    return Variant(
        format="gguf",
        source="path",
        ref=ref,
        file=file,
        quant=_quant(path, headers),
        size_bytes=sum(part.stat().st_size for part in parts),
    )


def _quant(path: Path, headers: list[Header]) -> str | None:
    return quant_of(path.name) or quant_of(path.parent.name) or (headers[0].quant if headers else None)


def _gguf_files(folder: Path) -> list[Path]:
    """GGUF files in the folder and in the folders right below it, as repositories of split models have them."""
    return sorted(path for pattern in ("*.gguf", "*/*.gguf") for path in folder.glob(pattern))


def _leads(path: Path) -> bool:
    shard = shard_of(path.name)
    return shard is None or shard.number == 1


def _parts(path: Path) -> list[Path]:
    """The files that make up the weights at ``path``. Raises GgufError when a part of a split file is missing."""
    if path.is_dir():
        return sorted(path.glob("*.safetensors"))
    shard = shard_of(path.name)
    if shard is None:
        return [path]
    if shard.number != 1:
        raise GgufError(f"part {shard.number} of {shard.count}; give the first part")
    parts = [path.with_name(f"{shard.stem}-{n:05}-of-{shard.count:05}.gguf") for n in range(1, shard.count + 1)]
    if gone := [part.name for part in parts if not part.exists()]:
        raise GgufError(f"incomplete: {_some(gone)} of {shard.count} parts missing")
    return parts


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")


def _why(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "not readable (permission denied)"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
