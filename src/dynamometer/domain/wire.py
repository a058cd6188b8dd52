"""What is said to an engine: one request, before it becomes bytes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr

from dynamometer.domain.base import Value

Api = Literal["chat", "completions", "ollama"]
"""OpenAI-compatible chat and completions, and Ollama's own /api/generate."""


class Endpoint(Value):
    """Where and how an engine answers."""

    host: str
    """Address, without scheme."""
    port: Annotated[int, Field(ge=1, le=65535)]
    api: Api = "chat"
    """API to use."""
    path: str = "/v1/chat/completions"
    """Path of that API."""
    model: str
    """Name of the model on that server."""
    extra: dict[str, Any] = {}
    """Keys this engine wants in every request, e.g. cache_prompt: false."""
    renames: dict[str, str] = {}
    """This server's own names for keys of the body, e.g. repetition_penalty: repeat_penalty."""
    ignore_eos: bool = False
    """Whether it understands ignore_eos."""
    tls: bool = False
    """Whether it speaks TLS."""
    bearer: SecretStr | None = None
    """API key. Never written anywhere: endpoints are not stored."""


class Message(Value):
    """One message of a conversation."""

    role: Annotated[str, Field(min_length=1)]
    content: str


class Prompt(Value):
    """One prompt, ready to send."""

    text: str
    """What is said; of a conversation, the contents of its messages, one after the other."""
    messages: tuple[Message, ...] | None = None
    """The conversation, where it is one; only a chat API takes it."""
    max_tokens: Annotated[int, Field(ge=1)]
