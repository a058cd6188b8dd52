"""What every noun shares: frozen, closed to unknown keys, free of NaN."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen value. Equal by content; unknown keys and non-finite numbers are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        protected_namespaces=(),
        defer_build=True,
    )


class Keys(Value):
    """A value that users write in files: the docstrings of its fields become the schema's descriptions."""

    model_config = ConfigDict(use_attribute_docstrings=True)
