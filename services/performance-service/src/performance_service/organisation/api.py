"""The organisation over HTTP: read the tree, put a unit into it."""

from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from contracts.base import Currency, UnitCode
from contracts.performance import UnitKind
from eventing import emit
from performance_service.organisation.model import TeamIdTaken, Unit, UnitUnderItself, UnknownUnit
from servicekit.auth import Principal, may
from servicekit.clock import Now
from servicekit.concurrency import IfMatchGiven, etag, next_version
from servicekit.database import ReadTx, Tx
from servicekit.examples import example
from servicekit.problems import PreconditionFailed, PreconditionRequired, problems

router = APIRouter(prefix="/organisation", tags=["organisation"])

SETTLED = ("kind", "parent", "team_id", "calendar", "time_zone", "currency")
"""What a unit's PUT settles."""


class NewUnit(BaseModel):
    """A unit as it should be. Of a legal entity, the calendar, zone and currency hold for all below it."""

    model_config = example(kind="entity", calendar="CN", time_zone="Asia/Shanghai", currency="CNY")

    kind: UnitKind
    parent: UnitCode | None = Field(default=None, description="The unit above; none for a legal entity.")
    calendar: str = Field(default="CN", pattern=r"^[A-Z]{2}$", description="Holidays of this country, by ISO code.")
    time_zone: str = Field(default="Asia/Shanghai", max_length=64, examples=["Asia/Shanghai"])
    currency: Currency = "CNY"
    team_id: UUID | None = Field(default=None, description="HR's id of a team; one is made where none is given.")


class UnitView(NewUnit):
    """A unit as it stands."""

    unit_id: UnitCode
    version: int

    @classmethod
    def of(cls, unit: Unit) -> "UnitView":
        return cls(
            unit_id=unit.unit_id,
            version=next_version(unit),
            kind=unit.kind,
            parent=unit.parent,
            team_id=unit.team_id,
            calendar=unit.calendar,
            time_zone=unit.time_zone,
            currency=unit.currency,
        )


async def _entity_of(tx: Tx, who: Principal, unit_id: str, body: NewUnit) -> Unit | None:
    """The legal entity whose settings the unit takes; None when the unit is that entity itself."""
    if body.kind is UnitKind.ENTITY:
        if unit_id != who.entity_id or body.parent is not None:
            raise UnknownUnit("path.unit_id", "a legal entity's unit has the entity's own id and no parent")
        return None
    entity = await tx.get(Unit, (who.entity_id, who.entity_id))
    if entity is None:
        raise UnknownUnit("body.parent", "create the legal entity's own unit first")
    if body.parent is None or await tx.get(Unit, (who.entity_id, body.parent)) is None:
        raise UnknownUnit("body.parent", "no such unit in this legal entity")
    above: str | None = body.parent
    while above is not None:
        if above == unit_id:
            raise UnitUnderItself(unit_id)
        node = await tx.get_one(Unit, (who.entity_id, above))
        above = node.parent
    return entity


@router.put("/units/{unit_id}", responses=problems(UnitUnderItself, TeamIdTaken, UnknownUnit))
async def put_unit(
    unit_id: Annotated[UnitCode, Path()],
    body: NewUnit,
    tx: Tx,
    who: Annotated[Principal, may("organisation:write")],
    now: Now,
    expected: IfMatchGiven,
    response: Response,
) -> UnitView:
    """Create a unit, or change it: that takes If-Match. Saying the same again changes nothing and tells nobody."""
    entity = await _entity_of(tx, who, unit_id, body)
    wanted = Unit.create(
        who.entity_id,
        unit_id,
        body.kind,
        parent=body.parent,
        team_id=body.team_id,
        calendar=entity.calendar if entity else body.calendar,
        zone=entity.time_zone if entity else body.time_zone,
        currency=entity.currency if entity else body.currency,
    )
    unit = await tx.get(Unit, (who.entity_id, unit_id), with_for_update=True)
    if unit is not None and unit.kind is wanted.kind and body.team_id is None:
        wanted.team_id = unit.team_id
    if wanted.team_id is not None:
        namesake = await tx.scalar(sa.select(Unit).where(Unit.team_id == wanted.team_id))
        if namesake is not None and namesake is not unit:
            raise TeamIdTaken(unit_id)
    if unit is None:
        if expected is not None:
            raise PreconditionFailed
        unit = wanted
        tx.add(unit)
        emit(tx, unit.changed(now))
        response.status_code = 201
    else:
        if expected is not None:
            expected.check(unit)
        new = {name: value for name in SETTLED if (value := getattr(wanted, name)) != getattr(unit, name)}
        if new:
            if expected is None:
                raise PreconditionRequired
            for name, value in new.items():
                setattr(unit, name, value)
            emit(tx, unit.changed(now))
    etag(response, unit)
    return UnitView.of(unit)


@router.get("/units")
async def list_units(tx: ReadTx, who: Annotated[Principal, may("organisation:read")]) -> list[UnitView]:
    """The whole organisation of the asker's legal entity, a unit below its parent."""
    units = await tx.scalars(sa.select(Unit).where(Unit.entity_id == who.entity_id).order_by(Unit.unit_id))
    return [UnitView.of(unit) for unit in units]
