"""App notifications through Firebase's own SDK.

Push is sent at most once: FCM has no idempotency key and no list to ask afterwards, so whatever is not surely refused
counts as sent. FCM also never tells that a notification arrived; the app does (`data.ack`, portal/webhooks.py).

In:   a `Message` whose `to` is a registration token, and the gate's `Permit`.
Out:  a `Receipt` with FCM's message name, or one `ChannelError`. One call, once: the SDK's retries are off.
Pure: no; talks to FCM, or to the sandbox on loopback. Long-lived threads: the SDK's asynchronous client is slower and
      bound to one loop.
Source: PROVIDERS.md B1 (a), B3, B4.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

import firebase_admin
import requests
import requests.adapters
from firebase_admin import messaging
from firebase_admin.exceptions import FirebaseError
from google.auth.exceptions import GoogleAuthError, TransportError
from google.auth.transport.requests import Request as TokenRequest
from google.oauth2 import service_account
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.exceptions import SSLError as UrllibSSLError

from channels import (
    AccountHalted,
    ChannelError,
    FateUnknown,
    ForbiddenHost,
    Message,
    Mode,
    NeverWorks,
    NoPermit,
    NotOnAllowlist,
    Permit,
    PermitExpired,
    Receipt,
    TryLater,
    allow_host,
    told,
)
from channels.codes import FCM_RETRY_SECONDS, fcm_refusal
from config.settings import Settings

FCM_HOST = "fcm.googleapis.com"
TOKEN_HOST = "oauth2.googleapis.com"  # noqa: S105  # a host, not a secret
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
CONNECT_SECONDS_MAX = 3.0
# FCM keeps a message for four weeks at most, and by default: far beyond any contact window.
TTL_SECONDS_MAX = 28 * 24 * 3600
# A later reminder replaces one that has not been delivered yet: nobody finds five after a flight.
COLLAPSE_KEY = "reminder"

_names = count(1)


class MissingServiceAccountError(RuntimeError):
    """No service account is named, or its file cannot be read as one."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"TIDEOVER_FCM_SERVICE_ACCOUNT_FILE: {reason}")


class Push:
    """The channel `push`; opened once in the process that sends."""

    name = "push"
    provider = "fcm"

    def __init__(self, settings: Settings) -> None:
        """Prepare the app and its threads; connects with the first message.

        Raises:
            ForbiddenHost: An FCM address is not a host of this mode.
            MissingServiceAccountError: There is no readable service account.
        """
        allow_host(settings.fcm_base_url, FCM_HOST, mode=settings.mode)
        account = _service_account(settings)
        seconds = (min(CONNECT_SECONDS_MAX, settings.call_seconds_max), settings.call_seconds_max)
        wire = _Wire(settings.mode, connections_max=settings.push_concurrency)
        credentials: _Credentials = _Credentials.from_service_account_info(account, scopes=[SCOPE])  # type: ignore[no-untyped-call]  # google-auth
        token_session = wire.session(TOKEN_HOST)
        credentials.fetch_through(token_session, seconds)
        self._may_reach = settings.may_reach
        self._app = firebase_admin.initialize_app(
            credentials, {"projectId": account["project_id"], "httpTimeout": seconds}, name=f"push-{next(_names)}"
        )
        # The SDK has no setting for its address; tests/channels/test_push.py pins these attributes to its version.
        service = messaging._get_messaging_service(self._app)  # noqa: SLF001  # as above
        service._fcm_url = f"{settings.fcm_base_url}/v1/projects/{account['project_id']}/messages:send"  # noqa: SLF001  # as above
        self._sessions = (service._client.session, token_session)  # noqa: SLF001  # as above
        wire.guard(self._sessions[0], FCM_HOST)
        self._threads = ThreadPoolExecutor(settings.push_concurrency, thread_name_prefix="push")
        self._free = asyncio.Semaphore(settings.push_concurrency)
        # A token and a message, each bounded by connect + read.
        self._seconds_max = 2 * sum(seconds)

    async def send(self, message: Message, permit: Permit) -> Receipt:
        """Make one provider call, once.

        Raises:
            ChannelError: One of the family; nothing else escapes.
        """
        async with self._free:
            loop = asyncio.get_running_loop()
            try:
                async with asyncio.timeout(self._seconds_max):
                    outcome = await loop.run_in_executor(self._threads, self._call, message, permit)
            except TimeoutError:
                outcome = FateUnknown(code="timeout")
        return told(outcome, permit)

    async def close(self) -> None:
        """Let go of threads and connections."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        """In a thread of its own: the SDK runs a loop to close, which cannot be done inside one."""
        self._threads.shutdown(wait=True)
        for session in self._sessions:
            session.close()
        firebase_admin.delete_app(self._app)

    def _call(self, message: Message, permit: Permit) -> Receipt | ChannelError:
        if message.valid_seconds < 1:
            # What cannot end inside its window is not begun.
            return PermitExpired(attempt_id=permit.attempt_id)
        if not self._may_reach(message.to):
            return NotOnAllowlist(attempt_id=permit.attempt_id)
        call = _Call(permit)
        _call_now.value = call
        try:
            permit.refuse_if_foreign(message)
            return Receipt(
                provider=self.provider,
                provider_id=messaging.send(_encoded(message, permit), app=self._app),
                status="accepted",
                segments=None,
            )
        except Exception as error:  # noqa: BLE001  # whatever it is, the message's fate has to be named
            return _fate(error, call)
        finally:
            _call_now.value = None


@dataclass(slots=True)
class _Call:
    """One message on its way: the permit it is made on, and whether the request has left."""

    permit: Permit
    begun: bool = False


class _CallNow(threading.local):
    """The call that this thread is making; None while it fetches a token for itself."""

    value: _Call | None = None


_call_now = _CallNow()


class _GuardedAdapter(requests.adapters.HTTPAdapter):
    """The last thing before the wire: refuses a foreign host and a late permit; never retries."""

    def __init__(self, host: str, mode: Mode, connections_max: int) -> None:
        super().__init__(pool_maxsize=connections_max, max_retries=0)
        self._host = host
        self._mode = mode

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        """Send one request, if it may go.

        Raises:
            ForbiddenHost: The address is not the one of this mode.
            PermitExpired: Too late to call.
            NoPermit: Nobody gave leave.
        """
        allow_host(request.url or "", self._host, mode=self._mode)
        call = _call_now.value
        # The token's own request reaches no person and needs no permit.
        if self._host == FCM_HOST:
            if call is None:
                raise NoPermit
            call.permit.refuse_if_not_marked()
            call.permit.refuse_if_late()
            call.begun = True
        return super().send(request, *arguments, **options)


class _Wire:
    """Makes sessions that go through guarded adapters only."""

    def __init__(self, mode: Mode, *, connections_max: int) -> None:
        self._mode = mode
        self._connections_max = connections_max

    def guard(self, session: requests.Session, host: str) -> None:
        """Put the guard before everything that a session may reach."""
        session.adapters.clear()
        for scheme in ("http://", "https://"):
            session.mount(scheme, _GuardedAdapter(host, self._mode, self._connections_max))
        # No proxy, no netrc, no certificates of the environment.
        session.trust_env = False

    def session(self, host: str) -> requests.Session:
        """A session for one host."""
        session = requests.Session()
        self.guard(session, host)
        return session


class _Credentials(service_account.Credentials):
    """The lender's service account; one thread fetches a token for all, over a guarded session."""

    def fetch_through(self, session: requests.Session, seconds: tuple[float, float]) -> None:
        """Say which session fetches tokens, and how long it may take."""
        self._lock = threading.Lock()
        self._fetch = TokenRequest(session)
        self._seconds = seconds

    def refresh(self, request: Any) -> None:
        """Fetch a token, unless another thread did while this one waited.

        Raises:
            google.auth.exceptions.GoogleAuthError: No token could be had.
        """
        del request  # the SDK's own session follows proxies and retries
        before = self.token
        with self._lock:
            if self.token == before:
                super().refresh(self._within_time)  # type: ignore[no-untyped-call]  # google-auth leaves it so

    def _within_time(self, *arguments: Any, **options: Any) -> Any:
        return self._fetch(*arguments, **{**options, "timeout": self._seconds})


def _service_account(settings: Settings) -> dict[str, Any]:
    """The service account, told to fetch its tokens where this process may.

    Raises:
        MissingServiceAccountError: There is none, or it is not readable as one.
        ForbiddenHost: The token address is not a host of this mode.
    """
    file = settings.fcm_service_account_file
    if file is None:
        raise MissingServiceAccountError("not set")
    try:
        account = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise MissingServiceAccountError(f"{file.name}: {type(error).__name__}") from None  # the content is a secret
    missing = [key for key in ("project_id", "client_email", "private_key") if not isinstance(account, dict) or not account.get(key)]
    if missing:
        raise MissingServiceAccountError(f"{file.name}: lacks {', '.join(missing)}")
    return {**account, "token_uri": allow_host(settings.fcm_token_url, TOKEN_HOST, mode=settings.mode)}


def _encoded(message: Message, permit: Permit) -> messaging.Message:
    """The message as FCM takes it; every platform is told when it is too late to show it."""
    seconds = min(message.valid_seconds, TTL_SECONDS_MAX)
    ends_at = int((permit.issued_at + timedelta(seconds=seconds)).timestamp())
    encoded = messaging.Message(
        notification=messaging.Notification(title=message.title, body=message.body),
        data={"ack": message.token},
        android=messaging.AndroidConfig(ttl=timedelta(seconds=seconds), collapse_key=COLLAPSE_KEY),
        apns=messaging.APNSConfig(headers={"apns-expiration": str(ends_at), "apns-collapse-id": COLLAPSE_KEY}),
        webpush=messaging.WebpushConfig(headers={"TTL": str(seconds)}),
    )
    # Lenders' apps hold registration tokens; as an argument the SDK warns that installation ids will replace them.
    encoded.token = message.to
    return encoded


def _fate(error: Exception, call: _Call) -> ChannelError:
    """What is known of the message, from the way in which the call failed."""
    if isinstance(error, ChannelError):
        return error
    if isinstance(error, FirebaseError):
        return _refusal(error, error.http_response) if error.http_response is not None else _transport_fate(error.cause)
    # While a token was being had, before the call or after a 401, no message was taken.
    if isinstance(error, TransportError) or (isinstance(error, GoogleAuthError) and error.retryable):
        return TryLater(code=type(error).__name__, retry_after_seconds=FCM_RETRY_SECONDS)
    if isinstance(error, (GoogleAuthError, ForbiddenHost)):
        return AccountHalted(code=type(error).__name__)
    # An error of the SDK's own: while it encoded the message, or over an answer that it could not read.
    return FateUnknown(code=type(error).__name__) if call.begun else NeverWorks(code=type(error).__name__)


def _refusal(error: FirebaseError, response: requests.Response) -> ChannelError:
    """What FCM's answer says."""
    return fcm_refusal(
        status=response.status_code,
        code=next((code for kind, code in _FCM_CODES.items() if isinstance(error, kind)), str(error.code)),
        names_the_token="registration token" in str(error).lower(),
        headers=response.headers,
    )


def _transport_fate(cause: Exception | None) -> ChannelError:
    """Without an answer: surely not sent only where no connection ever stood."""
    reason = getattr(cause.args[0] if cause is not None and cause.args else None, "reason", None)
    refused = isinstance(reason, (NewConnectionError, ConnectTimeoutError))
    foreign = isinstance(reason, UrllibSSLError) and any(isinstance(part, ssl.SSLCertVerificationError) for part in reason.args)
    if refused or foreign:
        return TryLater(code=type(reason).__name__, retry_after_seconds=FCM_RETRY_SECONDS)
    return FateUnknown(code=type(cause).__name__)


_FCM_CODES = {
    messaging.UnregisteredError: "UNREGISTERED",
    messaging.SenderIdMismatchError: "SENDER_ID_MISMATCH",
    messaging.QuotaExceededError: "QUOTA_EXCEEDED",
    messaging.ThirdPartyAuthError: "THIRD_PARTY_AUTH_ERROR",
}
