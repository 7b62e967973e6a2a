"""ETag and If-Match: a change names the version it changes, and a lost race is a 412, never a lost update."""

import re
from dataclasses import dataclass
from typing import Annotated

import sqlalchemy as sa
from fastapi import Depends, Header, Response
from sqlalchemy.orm import object_session

from servicekit.database import Versioned
from servicekit.problems import BadRequest, PreconditionFailed, PreconditionRequired

_ETAGS = re.compile(r'^\s*(W/)?"[^"]*"(\s*,\s*(W/)?"[^"]*")*\s*$')


@dataclass(frozen=True)
class Expected:
    """The versions the caller accepts; None: any (`If-Match: *`)."""

    versions: frozenset[str] | None

    def check(self, row: Versioned) -> None:
        """Refuse to go on unless the row has one of them.

        Raises:
            PreconditionFailed: it has been changed since.
        """
        if self.versions is not None and str(row.version) not in self.versions:
            raise PreconditionFailed


def if_match_given(
    if_match: Annotated[
        str | None, Header(alias="If-Match", description='The ETag of your last read, e.g. "3"')
    ] = None,
) -> Expected | None:
    """The If-Match header of what may be a change or the first of its kind; None where it is missing.

    Raises:
        BadRequest: it is not a list of ETags.
    """
    if if_match is None:
        return None
    if if_match.strip() == "*":
        return Expected(None)
    if not _ETAGS.match(if_match):
        raise BadRequest(detail='If-Match must be an ETag such as "3".')
    strong = (part.strip() for part in if_match.split(","))
    return Expected(frozenset(part.strip('"') for part in strong if not part.startswith("W/")))


IfMatchGiven = Annotated[Expected | None, Depends(if_match_given)]


def if_match(given: IfMatchGiven) -> Expected:
    """The If-Match header of a change. Raises PreconditionRequired and BadRequest."""
    if given is None:
        raise PreconditionRequired
    return given


IfMatch = Annotated[Expected, Depends(if_match)]


def next_version(row: Versioned) -> int:
    """The version the row will have once this transaction has committed."""
    state = sa.inspect(row)
    if state.transient or state.pending:
        return 1
    session = object_session(row)
    changed = session is not None and session.is_modified(row)
    return row.version + 1 if changed else row.version


def etag(response: Response, row: Versioned) -> None:
    """Say which version of the row this answer shows (counting the change that is about to be committed)."""
    response.headers["ETag"] = f'"{next_version(row)}"'
