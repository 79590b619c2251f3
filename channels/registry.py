"""The channels that this program sends by: one row each, and the only place that names them all.

A new channel is a file here, a row below, its fields in config/settings.py, and its words in config/messages; README.md says how.

In:   settings, when something is opened.
Out:  `WAYS`: what gate, tasks and portal need to know of a channel; and how to open channels and lists.
Pure: no; opening talks to nobody yet. A provider's package is loaded when its channel is opened: it takes a second, and most
      commands send nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from channels import Channel
from channels.listed import KeyedList, ProviderList
from config.settings import Settings, settings
from decisions.words import GATEWAY, GATEWAY_CHANNELS, GATEWAY_SENDER


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What the house knows of a channel.

    Attributes:
        name: Channel of CASES.md.
        provider: Who carries it.
        open_channel: Opens it, in the loop that sends.
        concurrency: Calls in flight at most.
        per_second: Of each sender id.
        needs: Fields of the settings without which it cannot be opened.
        callback_path: Where the provider reports, below the public address; the attempt's token comes behind it. None = it does not.
        open_list: Opens the provider's list; None = there is none to ask, and what is not known is never known: at most once.
        counts_segments: Whether a text is charged by its segments; else a message is one.
    """

    name: str
    provider: str
    open_channel: Callable[[Settings], Channel]
    concurrency: Callable[[Settings], int]
    per_second: Callable[[Settings], float]
    needs: tuple[str, ...]
    callback_path: str | None = None
    open_list: Callable[[Settings], ProviderList] | None = None
    counts_segments: bool = False

    def missing(self, chosen: Settings) -> list[str]:
        """Environment variables that are not set and without which it cannot be opened."""
        prefix = Settings.model_config.get("env_prefix", "")
        return [f"{prefix}{field}".upper() for field in self.needs if not getattr(chosen, field)]


def _sms(chosen: Settings) -> Channel:
    from channels.sms import Sms

    return Sms(chosen)


def _sms_list(chosen: Settings) -> ProviderList:
    from channels.sms_list import SmsList

    return SmsList(chosen)


def _whatsapp(chosen: Settings) -> Channel:
    from channels.whatsapp import WhatsApp

    return WhatsApp(chosen)


def _whatsapp_list(chosen: Settings) -> ProviderList:
    from channels.sms_list import MessageList
    from channels.whatsapp import DIALECT

    return MessageList(chosen, DIALECT)


def _messenger(chosen: Settings) -> Channel:
    from channels.messenger import Messenger

    return Messenger(chosen)


def _messenger_list(chosen: Settings) -> ProviderList:
    from channels.messenger import DIALECT
    from channels.sms_list import MessageList

    return MessageList(chosen, DIALECT)


def _rcs(chosen: Settings) -> Channel:
    from channels.rcs import Rcs

    return Rcs(chosen)


def _rcs_list(chosen: Settings) -> ProviderList:
    from channels.rcs import DIALECT
    from channels.sms_list import MessageList

    return MessageList(chosen, DIALECT)


def _voice(chosen: Settings) -> Channel:
    from channels.voice import Voice

    return Voice(chosen)


def _voice_list(chosen: Settings) -> ProviderList:
    from channels.voice_list import VoiceList

    return VoiceList(chosen)


def _push(chosen: Settings) -> Channel:
    from channels.push import Push

    return Push(chosen)


def _email(chosen: Settings) -> Channel:
    from channels.email import Email

    return Email(chosen)


def _letter(chosen: Settings) -> Channel:
    from channels.letter import Letters

    return Letters(chosen)


def _gateway(chosen: Settings, name: str) -> Channel:
    from channels.gateway import Gateway

    return Gateway(chosen, name)


def _gateway_list(chosen: Settings) -> KeyedList:
    from channels.gateway_list import GatewayList

    return GatewayList(chosen)


# Where Twilio asks whom to put a colleague through to; the attempt's token comes behind it (channels/bridge.py).
BRIDGE_PATH: Final = "webhooks/twilio/bridge"
GATEWAY_CALLBACK_PATH: Final = "webhooks/gateway/status"
WAYS: Final[Mapping[str, Way]] = {
    way.name: way
    for way in (
        Way(
            name="sms",
            provider="twilio",
            open_channel=_sms,
            concurrency=lambda chosen: chosen.sms_concurrency,
            per_second=lambda chosen: chosen.sms_per_second,
            needs=("twilio_account_sid",),
            callback_path="webhooks/twilio/status",
            open_list=_sms_list,
            counts_segments=True,
        ),
        Way(
            name="whatsapp",
            provider="twilio",
            open_channel=_whatsapp,
            concurrency=lambda chosen: chosen.whatsapp_concurrency,
            per_second=lambda chosen: chosen.whatsapp_per_second,
            needs=("twilio_account_sid",),
            callback_path="webhooks/twilio/status",
            open_list=_whatsapp_list,
        ),
        Way(
            name="messenger",
            provider="twilio",
            open_channel=_messenger,
            concurrency=lambda chosen: chosen.messenger_concurrency,
            per_second=lambda chosen: chosen.messenger_per_second,
            needs=("twilio_account_sid",),
            callback_path="webhooks/twilio/status",
            open_list=_messenger_list,
        ),
        Way(
            name="rcs",
            provider="twilio",
            open_channel=_rcs,
            concurrency=lambda chosen: chosen.rcs_concurrency,
            per_second=lambda chosen: chosen.rcs_per_second,
            needs=("twilio_account_sid",),
            callback_path="webhooks/twilio/status",
            open_list=_rcs_list,
        ),
        # Shown while the person uses the app: nobody but the lender can do that.
        Way(
            name="in_app",
            provider=GATEWAY,
            open_channel=lambda chosen: _gateway(chosen, "in_app"),
            concurrency=lambda chosen: chosen.gateway_concurrency,
            per_second=lambda chosen: chosen.gateway_per_second,
            needs=("gateway_base_url",),
            callback_path=GATEWAY_CALLBACK_PATH,
        ),
        # An automated call. A person who dials is no row here: nobody sends for her (gate/dial.py).
        Way(
            name="voice",
            provider="twilio",
            open_channel=_voice,
            concurrency=lambda chosen: chosen.voice_concurrency,
            per_second=lambda chosen: chosen.voice_per_second,
            needs=("twilio_account_sid",),
            callback_path="webhooks/twilio/call",
            open_list=_voice_list,
        ),
        # FCM has no list, and it is the app that says whether a notification arrived.
        Way(
            name="push",
            provider="fcm",
            open_channel=_push,
            concurrency=lambda chosen: chosen.push_concurrency,
            per_second=lambda chosen: chosen.push_per_second,
            needs=("fcm_service_account_file",),
        ),
        # A relay keeps no list. What it reports to is the link that ends emails (channels/email.py, RFC 8058).
        Way(
            name="email",
            provider="smtp",
            open_channel=_email,
            concurrency=lambda chosen: chosen.email_concurrency,
            per_second=lambda chosen: chosen.email_per_second,
            needs=("smtp_url",),
            callback_path="u",
        ),
        # The print shop's own list settles what is not known (tasks/returned.py).
        Way(
            name="letter",
            provider="print_shop",
            open_channel=_letter,
            concurrency=lambda chosen: chosen.letter_concurrency,
            per_second=lambda chosen: chosen.letter_per_second,
            needs=(),
        ),
    )
}


def openers() -> dict[str, Callable[[], Channel]]:
    """Channel → how to open it with the settings of that moment. Only who hands them to the gate's lane may ask (tests/test_house.py)."""
    return {name: partial(_opened, way) for name, way in WAYS.items()}


def ready_openers() -> dict[str, Callable[[], Channel]]:
    """As `openers`, of those channels alone whose provider is set up, or some of whose senders go through a gateway that is."""
    chosen = settings()
    return {name: opener for name, opener in openers().items() if _has_gateway(name, chosen) or not WAYS[name].missing(chosen)}


def list_openers() -> dict[str, Callable[[], ProviderList]]:
    """Channel → how to open its provider's list; a channel without one is missing."""
    return {way.name: partial(_listing, way.open_list) for way in WAYS.values() if way.open_list is not None}


def keyed_openers() -> dict[str, Callable[[], KeyedList]]:
    """Provider → how to open what answers by key there."""
    return {GATEWAY: lambda: _gateway_list(settings())}


def provider_of(sender: str, *, own: str) -> str:
    """Who carries what a creditor's sender says: the lender's gateway where the sender names it, else the channel's own provider."""
    return GATEWAY if sender.startswith(GATEWAY_SENDER) else own


def per_second(channel: str, sender: str) -> float:
    """Calls a second of one sender on a channel, at most."""
    chosen = settings()
    return chosen.gateway_per_second if sender.startswith(GATEWAY_SENDER) else WAYS[channel].per_second(chosen)


def callback_url(channel: str, token: object, *, sender: str = "") -> str | None:
    """Where the provider of a channel and sender reports about the attempt of that token; None = it does not."""
    way = WAYS.get(channel)
    own = None if way is None else way.callback_path
    path = GATEWAY_CALLBACK_PATH if sender.startswith(GATEWAY_SENDER) else own
    return None if path is None else f"{settings().public_url}/{path}/{token}"


def _opened(way: Way) -> Channel:
    """A channel with its two ways: its own provider, and the lender's gateway for those senders that name it."""
    from channels.routed import Routed

    chosen = settings()
    has_gateway = _has_gateway(way.name, chosen)
    return Routed(
        way.name,
        way.provider,
        # What lacks its settings is opened all the same where there is no gateway: it says best what it misses.
        own=None if way.missing(chosen) and (has_gateway or way.provider == GATEWAY) else partial(way.open_channel, chosen),
        gateway=partial(_gateway, chosen, way.name) if has_gateway else None,
    )


def _has_gateway(channel: str, chosen: Settings) -> bool:
    return bool(chosen.gateway_base_url) and channel in GATEWAY_CHANNELS


def _listing(open_list: Callable[[Settings], ProviderList]) -> ProviderList:
    return open_list(settings())
