"""plan.json: the plan as it is run, with a version that later programs can refuse."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from dynamometer.domain.ident import text_hash
from dynamometer.domain.plan import PLAN_SCHEMA, Plan
from dynamometer.errors import DamageError
from dynamometer.store.files import write_whole
from dynamometer.store.records import refuse_newer

WAY_OUT = "make it again from the campaign file: dyno campaign run FILE --resume"


def write_plan(path: Path, plan: Plan) -> None:
    """Write the plan, whole or not at all."""
    write_whole(path, plan.model_dump_json(exclude_defaults=True, exclude={"schema_version"})[:-1] + _version())


def _version() -> str:
    return f',"schema_version":{PLAN_SCHEMA}}}\n'


def read_plan(path: Path) -> Plan:
    """Read a plan. Raises DamageError when it is gone, damaged, or of a newer version."""
    try:
        data = path.read_bytes()
        refuse_newer(data, PLAN_SCHEMA, path)
        return Plan.model_validate_json(data)
    except FileNotFoundError as error:
        raise DamageError(f"the plan {path} is gone", hint=WAY_OUT) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise DamageError(f"{path}: not a plan: {where}: {first['msg']}", hint=WAY_OUT) from error


def config_hash(plan: Plan) -> str:
    """SHA-256 of the canonical campaign: what a changed file changes."""
    return text_hash(plan.campaign.model_dump_json())
