"""What this service knows of clients: that they exist, in which legal entity, at which stage. A projection.

A party that other services speak of before it is registered is a stub: it can be visited, contacted and complained
about, and whoever sees all of the entity's clients sees it.
"""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from contracts.client import Stage
from engagement_service.model_base import Base
from servicekit.access import canonical, visible
from servicekit.auth import Principal
from servicekit.problems import Conflict, NotFound


class UnknownClient(NotFound):
    """There is no such client, or it is not yours to see.

    Check the id, and that the client is in your portfolio.
    """


class ClientTerminated(Conflict):
    """The client's relationship has ended; a complaint or a visit needs a client.

    Log what was said as a contact; if the relationship goes on, have its stage corrected in client-service.
    """


class Client(Base):
    """A client as last told. `stage` None: nobody has told it yet."""

    __tablename__ = "client"
    __table_args__ = {"info": {"projection": True}}

    id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[str]
    branch_id: Mapped[str | None]
    registered: Mapped[bool]
    stage: Mapped[Stage | None]

    @property
    def terminated(self) -> bool:
        return self.stage is Stage.TERMINATED

    def must_be_served(self) -> None:
        """Refuse what needs a living relationship."""
        if self.terminated:
            raise ClientTerminated(self.id)


async def get_client(tx: AsyncSession, id: UUID, *, visible_to: Principal) -> Client:
    """The client that this id stands for, if the caller may see it.

    Raises:
        UnknownClient: there is none, it is another entity's, or it is outside the caller's portfolio.
    """
    seen = visible(visible_to, Client.id, Client.entity_id)
    client = await tx.scalar(sa.select(Client).where(Client.id == await canonical(tx, id), seen))
    if client is None:
        raise UnknownClient(id)
    return client
