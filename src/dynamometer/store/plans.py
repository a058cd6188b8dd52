"""plan.json: the plan as it is run, with a version that later programs can refuse."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from dynamometer.domain.ident import text_hash
from dynamometer.domain.plan import PLAN_SCHEMA, Plan
from dynamometer.errors import DamageError, NotFoundError
from dynamometer.store.files import write_whole


def write_plan(path: Path, plan: Plan) -> None:
    """Write the plan, whole or not at all."""
    write_whole(path, plan.model_dump_json(exclude_defaults=True, exclude={"schema_version"})[:-1] + _version())


def _version() -> str:
    return f',"schema_version":{PLAN_SCHEMA}}}\n'


def read_plan(path: Path) -> Plan:
    """Read a plan. Raises NotFoundError or DamageError."""
    try:
        return Plan.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise NotFoundError(f"no plan at {path}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise DamageError(f"{path}: not a plan of this version: {where}: {first['msg']}") from error


def config_hash(plan: Plan) -> str:
    """SHA-256 of the canonical campaign: what a changed file changes."""
    return text_hash(plan.campaign.model_dump_json())
