"""Personal fields: stored only as ciphertext under a key of that person's own; delete the key and the person is erased.

AES-256-GCM; the person's key is wrapped by a master key from the environment, whose id is stored beside it, so that
master keys can be rotated. Invariant: a ciphertext opens only in the table, column and row it was made for.
"""

import base64
import binascii
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from servicekit.audit import append
from servicekit.problems import Unavailable
from servicekit.runtime import runtime_in
from servicekit.settings import WrongSettings
from servicekit.tables import person_key

_VERSION = b"\x01"


class NoMasterKey(Unavailable):
    """This service has no master key, so it can neither store nor read personal fields.

    Set MASTER_KEY or MASTER_KEY_FILE and start it again.
    """


class ForeignCiphertext(ValueError):
    """A ciphertext stands in a place it was not made for, or was changed."""


@dataclass(frozen=True)
class PersonalText:
    """A personal text as it is stored. It shows nothing; `PersonKey.read` opens it."""

    ciphertext: bytes

    def __repr__(self) -> str:
        return f"PersonalText({len(self.ciphertext)} bytes)"


class Personal(sa.types.TypeDecorator[PersonalText]):
    """The column type: `phone: Mapped[PersonalText | None] = mapped_column(Personal)`."""

    impl = sa.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: PersonalText | None, dialect: Dialect) -> bytes | None:
        if value is None:
            return None
        if not isinstance(value, PersonalText):  # pyright: ignore[reportUnnecessaryIsInstance] - callers' slips must not store plain text
            raise TypeError("a personal column takes PersonalText, made by PersonKey.seal")
        return value.ciphertext

    def process_result_value(self, value: Any | None, dialect: Dialect) -> PersonalText | None:
        return None if value is None else PersonalText(bytes(value))


class Keyring:
    """The master keys. The first one wraps new keys; the others still unwrap old ones."""

    def __init__(self, masters: dict[str, bytes]) -> None:
        self._masters = masters
        self.current = next(iter(masters))

    @classmethod
    def parse(cls, text: str) -> "Keyring":
        """From `id:base64[,id:base64…]`.

        Raises:
            WrongSettings: it is not that, or a key has not 32 bytes.
        """
        masters: dict[str, bytes] = {}
        for part in text.split(","):
            name, separator, encoded = part.strip().partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except binascii.Error:
                key = b""
            if not separator or not name or len(key) != 32:
                raise WrongSettings(
                    "MASTER_KEY: must be id:base64 of 32 bytes[,older-id:base64…]; try `openssl rand -base64 32`"
                )
            masters[name] = key
        return cls(masters)

    def wrap(self, person_id: UUID, key: bytes) -> tuple[str, bytes]:
        """The id of the master key used, and the wrapped key."""
        return self.current, _seal(self._masters[self.current], key, person_id.bytes)

    def unwrap(self, person_id: UUID, master_id: str, wrapped: bytes) -> bytes:
        """The person's key.

        Raises:
            NoMasterKey: wrapped by a master key that is not in the ring.
        """
        if master_id not in self._masters:
            raise NoMasterKey
        return _open(self._masters[master_id], wrapped, person_id.bytes)


def _seal(key: bytes, plain: bytes, place: bytes) -> bytes:
    nonce = os.urandom(12)
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, plain, place)


def _open(key: bytes, sealed: bytes, place: bytes) -> bytes:
    if sealed[:1] != _VERSION:
        raise ForeignCiphertext("unknown format")
    try:
        return AESGCM(key).decrypt(sealed[1:13], sealed[13:], place)
    except InvalidTag:
        raise ForeignCiphertext("it was not made for this place") from None


PersonalColumn = InstrumentedAttribute[PersonalText] | InstrumentedAttribute[PersonalText | None]


def _place(column: PersonalColumn, row_id: object) -> bytes:
    return f"{column.class_.__table__.name}.{column.key}:{row_id}".encode()


class PersonKey:
    """A person's key, ready to use; erased if the key is gone."""

    def __init__(self, person_id: UUID, key: bytes | None) -> None:
        self.person_id = person_id
        self._key = key

    @property
    def erased(self) -> bool:
        """Whether the key is gone (or never was)."""
        return self._key is None

    def seal(self, column: PersonalColumn, row_id: object, text: str) -> PersonalText:
        """Encrypt a text for this column of this row: `contact.phone = key.seal(Contact.phone, contact.id, text)`."""
        if self._key is None:
            raise LookupError("there is no key for this person; ask for it with create=True")
        return PersonalText(_seal(self._key, text.encode(), _place(column, row_id)))

    def read(self, column: PersonalColumn, row_id: object, sealed: PersonalText | None) -> str | None:
        """The text, or None if there is none or the person was erased.

        Raises:
            ForeignCiphertext: it was moved from elsewhere or changed.
        """
        if sealed is None or self._key is None:
            return None
        return _open(self._key, sealed.ciphertext, _place(column, row_id)).decode()


def _keyring(tx: AsyncSession) -> Keyring:
    keyring = runtime_in(tx).keyring
    if keyring is None:
        raise NoMasterKey
    return keyring


async def person_keys(tx: AsyncSession, person_ids: Iterable[UUID]) -> dict[UUID, PersonKey]:
    """The keys of these persons in one query; whoever has none reads as erased."""
    ids = set(person_ids)
    if not ids:
        return {}
    keyring = _keyring(tx)
    rows = await tx.execute(
        sa.select(person_key.c.person_id, person_key.c.master_id, person_key.c.wrapped).where(
            person_key.c.person_id.in_(ids)
        )
    )
    found = {row.person_id: keyring.unwrap(row.person_id, row.master_id, row.wrapped) for row in rows}
    return {person_id: PersonKey(person_id, found.get(person_id)) for person_id in ids}


async def key_of_person(tx: AsyncSession, person_id: UUID, *, create: bool = False) -> PersonKey:
    """The key of this person; with `create`, made if there is none."""
    found = (await person_keys(tx, [person_id]))[person_id]
    if not found.erased or not create:
        return found
    master_id, wrapped = _keyring(tx).wrap(person_id, AESGCM.generate_key(256))
    await tx.execute(
        insert(person_key).values(person_id=person_id, master_id=master_id, wrapped=wrapped).on_conflict_do_nothing()
    )
    return (await person_keys(tx, [person_id]))[person_id]


async def erase_person(tx: AsyncSession, person_id: UUID) -> bool:
    """Delete the person's key: every ciphertext of theirs, in the audit trail too, is unreadable from now on.

    That it was asked for is audited. Returns whether there was a key.
    """
    append(tx, table="person_key", row_id=str(person_id), action="erase", after={})
    deleted = await tx.execute(
        sa.delete(person_key).where(person_key.c.person_id == person_id).returning(person_key.c.person_id)
    )
    return deleted.first() is not None


async def rewrap(tx: AsyncSession, *, limit: int = 1000) -> int:
    """Wrap up to `limit` keys of other master keys by the current one; 0 when none is left.

    One that is being erased is waited for, so that none is passed over.

    Raises:
        NoMasterKey: a key is wrapped by a master key that is not in the ring.
    """
    keyring = _keyring(tx)
    rows = await tx.execute(
        sa.select(person_key)
        .where(person_key.c.master_id != keyring.current)
        .order_by(person_key.c.person_id)
        .limit(limit)
        .with_for_update()
    )
    done = 0
    for row in rows.all():
        master_id, wrapped = keyring.wrap(row.person_id, keyring.unwrap(row.person_id, row.master_id, row.wrapped))
        await tx.execute(
            sa.update(person_key)
            .where(person_key.c.person_id == row.person_id)
            .values(master_id=master_id, wrapped=wrapped)
        )
        done += 1
    return done
