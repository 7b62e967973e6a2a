"""The measurement that changed facts asked for, when it is due."""

from sqlalchemy.ext.asyncio import AsyncSession

from performance_service.kpis.definitions import Kpi, Month
from performance_service.kpis.measure import measure
from servicekit.scheduling import DueWork, Work

due = DueWork()


@due("kpis.measure")
async def measure_now(work: Work, tx: AsyncSession) -> None:
    payload = work.payload
    assert work.due_at is not None
    await measure(tx, Kpi(payload["kpi"]), payload["entity_id"], Month.parse(payload["since"]), work.due_at)
