"""Who answered for which client on which day."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from contracts.client import RmAssigned
from performance_service.portfolios.model import Assignment
from servicekit.testing import Harness


def assigned(client: UUID, staff: UUID, at: datetime) -> RmAssigned:
    return RmAssigned.example().model_copy(
        update={"entity_id": "DEMO-FACTOR", "client_id": client, "staff_id": staff, "effective_at": at}
    )


async def test_a_portfolio_is_asked_by_day_in_the_entitys_zone(performance: Harness, names: Any, staffed: Any) -> None:
    await staffed()
    # 17:00 UTC is already the next day in Shanghai
    await performance.receives(
        assigned(names.acme, names.li, datetime(2026, 1, 9, 17, tzinfo=UTC)),
        assigned(names.acme, names.zhou, datetime(2026, 3, 1, 1, tzinfo=UTC)),
    )
    auditor = performance.client("auditor")

    async def held(staff: UUID, on: str) -> list[str]:
        answer = await auditor.get(f"/staff/{staff}/portfolio", params={"on": on})
        return [client["client_id"] for client in answer.json()["clients"]]

    assert await held(names.li, "2026-01-09") == []
    assert await held(names.li, "2026-01-10") == [str(names.acme)]
    assert await held(names.li, "2026-03-01") == []
    assert await held(names.zhou, "2026-03-01") == [str(names.acme)]


async def test_a_repeat_is_one_assignment(performance: Harness, names: Any) -> None:
    await performance.receives(assigned(names.acme, names.li, datetime(2026, 1, 1, tzinfo=UTC)))
    async with performance.tx() as tx:
        assert await tx.scalar(sa.select(sa.func.count()).select_from(Assignment)) == 1


async def test_a_colleagues_portfolio_is_not_there(performance: Harness, names: Any, staffed: Any) -> None:
    await staffed()
    li = performance.client("relationship_manager", staff_id=names.li)
    assert (await li.get(f"/staff/{names.li}/portfolio")).status_code == 200
    for stranger in (names.wang, names.zhou, UUID(int=1)):
        answer = await li.get(f"/staff/{stranger}/portfolio")
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-staff")
