"""Calibrations of this machine: one file per fingerprint and client version in the state folder."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
from pydantic import ValidationError

from dynamometer.domain.calibration import CALIBRATION_SCHEMA, Calibration
from dynamometer.domain.ident import slug
from dynamometer.errors import DamageError, PreconditionError
from dynamometer.store.files import make_folder, write_whole
from dynamometer.store.records import refuse_newer

WAY_OUT = "remove the file, then run dyno calibrate"


def default_state() -> Path:
    """``state`` under DYNO_HOME where that is set, else the XDG state folder of dynamometer.

    A worker looks there on its own machine, so that a container or an agent cites a calibration made in it.
    """
    if own_home := os.environ.get("DYNO_HOME"):
        return Path(own_home).expanduser() / "state"
    return platformdirs.user_state_path("dynamometer", appauthor=False)


def calibration_path(state: Path, host: str, version: str) -> Path:
    """Where the calibration of a machine and a client version is kept."""
    return state / "calibrations" / f"{slug(host)}-{slug(version)}.json"


def read_calibration(state: Path, host: str, version: str) -> Calibration | None:
    """The calibration of that machine and version; None when there is none.

    Raises DamageError when it does not read.
    """
    path = calibration_path(state, host, version)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DamageError(f"cannot read the calibration {path}: {error.strerror}") from error
    refuse_newer(data, CALIBRATION_SCHEMA, path)
    try:
        return Calibration.model_validate_json(data)
    except ValidationError as error:
        raise DamageError(f"{path} is not a calibration", hint=WAY_OUT) from error


def require_writable(state: Path) -> None:
    """Raises PreconditionError when no calibration could be kept there. Called before one is measured."""
    folder, hint = state / "calibrations", "--no-save, or set DYNO_HOME to another folder"
    try:
        make_folder(folder)
    except PreconditionError as error:
        raise PreconditionError(error.message, hint=hint) from error
    if not os.access(folder, os.W_OK):
        raise PreconditionError(f"cannot write in {folder}", hint=hint)


def write_calibration(state: Path, calibration: Calibration) -> Path:
    """Keep a calibration, whole or not at all; returns its file."""
    path = calibration_path(state, calibration.host, calibration.dynamometer)
    make_folder(path.parent)
    write_whole(path, calibration.model_dump_json(indent=1) + "\n")
    return path
