"""What the bank's message gateways tell: what became of a message, and that one came in. Never what it says."""

from datetime import timedelta

from pydantic import Field

from contracts.base import Event, OpenEnum, Publisher, Token, Topic
from contracts.engagement import Channel
from contracts.ids import ClientId, PartyId, PersonId, RecordId

GATEWAY = Publisher("gateway", Topic("gateway.events", retention=timedelta(days=400)))


class FailureReason(OpenEnum):
    """Why a message did not arrive."""

    NO_ADDRESS = "no_address"
    REJECTED = "rejected"
    EXPIRED = "expired"
    GATEWAY_DOWN = "gateway_down"
    UNKNOWN = "UNKNOWN"


class MessageDelivered(
    Event, publisher=GATEWAY, name="message-delivered", key="client_id", rely=("engagement", "performance")
):
    """A message arrived."""

    client_id: ClientId
    message_id: RecordId
    channel: Channel = Field(examples=["sms"])


class MessageFailed(
    Event, publisher=GATEWAY, name="message-failed", key="client_id", rely=("engagement", "performance")
):
    """A message did not arrive and will not be tried again."""

    client_id: ClientId
    message_id: RecordId
    channel: Channel = Field(examples=["sms"])
    reason: FailureReason


class MessageOptedOut(
    Event, publisher=GATEWAY, name="message-opted-out", key="client_id", rely=("client", "engagement")
):
    """A contact person wants no more messages on a channel."""

    client_id: ClientId
    message_id: RecordId | None = None
    person_id: PersonId
    channel: Channel = Field(examples=["sms"])


class InboundMessage(Event, publisher=GATEWAY, name="inbound-message", key="party_id", rely=("engagement",)):
    """A party wrote; the text is fetched from the gateway by its reference."""

    party_id: PartyId
    channel: Channel = Field(examples=["wechat"])
    message_ref: Token = Field(examples=["gw-20261103-000042"])
    in_reply_to: RecordId | None = None
