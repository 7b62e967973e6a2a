"""The people we speak with at a client. Names and addresses are stored only as ciphertext under a key of their own.

Invariant: erasing a person deletes the key and the ciphertext; the row stays, without anything personal, so that what
points to it still says that someone was there.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from client_service.model_base import Base
from servicekit.database import Versioned
from servicekit.personal import Personal, PersonalColumn, PersonalText, PersonKey
from servicekit.problems import Conflict, NotFound


class UnknownPerson(NotFound):
    """The client has no contact person of this id.

    GET /clients/{id}/contact-persons lists those it has.
    """


class PersonErased(Conflict):
    """This person was erased; nothing more is kept about them.

    Register the person anew if there is a reason to.
    """


class ContactPerson(Versioned, Base):
    """A person at a client. `position` is the post, not the person."""

    __tablename__ = "contact_person"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(index=True)
    entity_id: Mapped[str]
    position: Mapped[str | None]
    name: Mapped[PersonalText | None] = mapped_column(Personal)
    phone: Mapped[PersonalText | None] = mapped_column(Personal)
    email: Mapped[PersonalText | None] = mapped_column(Personal)
    wechat: Mapped[PersonalText | None] = mapped_column(Personal)
    added_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]

    def write(self, key: PersonKey, texts: Mapping[str, str | None]) -> None:
        """Seal these personal fields (attribute → text); PersonErased if nothing may be kept any more."""
        if self.erased_at is not None:
            raise PersonErased(self.id)
        for field, text in texts.items():
            setattr(self, field, None if text is None else key.seal(PERSONAL[field], self.id, text))

    def read(self, key: PersonKey) -> dict[str, str | None]:
        """The personal fields in plain text; all None once erased."""
        return {field: key.read(column, self.id, getattr(self, field)) for field, column in PERSONAL.items()}

    def erase(self, now: datetime) -> None:
        """Forget the person; the caller deletes the key in the same transaction."""
        if self.erased_at is not None:
            raise PersonErased(self.id)
        self.erased_at = now
        self.position = self.name = self.phone = self.email = self.wechat = None


PERSONAL: Mapping[str, PersonalColumn] = {
    "name": ContactPerson.name,
    "phone": ContactPerson.phone,
    "email": ContactPerson.email,
    "wechat": ContactPerson.wechat,
}
