"""Calls of a service: its headers, its rate, and what is tried again."""

import json
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from unsee.errors import UnseeError
from unsee.models.serving.environment import filled
from unsee.optional import library
from unsee.words import counted

_MAY_PASS = (429, 502, 503, 504)
"""Statuses after which the same question may be answered; all others are the service's last word."""
_LONGEST_S = 300.0
"""Seconds; a service that wants a longer pause is left alone."""
_MOST_WORDS = 200
_HINTS = {
    400: "check format, input and layout in the service file, and --size",
    401: "give a token by [headers] in the service file",
    403: "check the token in [headers] of the service file",
    404: "check the address",
    413: "lower batch in the service file",
}


@dataclass(frozen=True)
class Calls:
    """How a service is called.

    Args:
        headers: of every call; ${NAME} stands for an environment variable.
        concurrency: calls at the same time.
        rate: calls in a second, at most; None for any number.
        timeout: of a call, in seconds.
        retries: after a call that failed in a way that may pass.
        backoff: seconds before the first of them; doubled each time, and shortened at random by up to a half.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    concurrency: int = 4
    rate: float | None = None
    timeout: float = 30.0
    retries: int = 4
    backoff: float = 0.5


class Reply(NamedTuple):
    """What a service answered."""

    data: bytes
    headers: Mapping[str, str]


class Caller:
    """Calls a service, from several threads.

    Args:
        calls: how.
        address: of the service: it decides whether a proxy is between.

    Raises:
        UnseeError: urllib3 is missing, or an environment variable that a header names.
    """

    def __init__(self, calls: Calls, address: str) -> None:
        self.calls = calls
        self._headers = {name: filled(text, f"the header {name}") for name, text in calls.headers.items()}
        self._library = library("urllib3", "served")
        limits = {
            "maxsize": calls.concurrency,
            "timeout": self._library.Timeout(total=calls.timeout),
            "retries": False,
        }
        parts = urlsplit(address)
        proxy = None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
        self._pool = (
            self._library.ProxyManager(proxy, **limits) if proxy else self._library.PoolManager(**limits)
        )
        self._lock = threading.Lock()
        self._next = 0.0

    def call(
        self,
        method: str,
        address: str,
        body: bytes | None,
        headers: Mapping[str, str],
        stop: threading.Event,
    ) -> Reply:
        """The answer to a call, after as many tries as are allowed.

        Args:
            method: "GET" or "POST".
            address: of the call.
            body: of the call, if it has one.
            headers: beside those of all calls.
            stop: is set when the answer is no longer wanted, which ends waiting.

        Raises:
            UnseeError: there is none; it says what the service answered last.
        """
        problem = ""
        for again in range(self.calls.retries + 1):
            self._wait(stop)
            try:
                reply = self._pool.request(
                    method, address, body=body, headers={**headers, **self._headers}, redirect=False
                )
            except self._library.exceptions.HTTPError as error:
                problem, pause = self._trouble(address, error), None
            else:
                if 200 <= reply.status < 300:
                    return Reply(reply.data, reply.headers)
                problem, pause = _said(reply.status, reply.data), self._pause(reply)
                if reply.status not in _MAY_PASS:
                    raise UnseeError(_refused(address, reply, problem))
            if pause is not None and pause > _LONGEST_S:
                raise UnseeError(
                    f"{address} {problem}, and wants a pause of {pause:.0f} s: run it again later"
                )
            if again < self.calls.retries:
                if pause is None:
                    stop.wait(self.calls.backoff * 2**again * random.uniform(0.5, 1))
                else:
                    self._hold(pause)
        times = counted(self.calls.retries + 1, "time")
        raise UnseeError(
            f"{address} failed {times}, the last time it {problem}: see whether it runs, and run this again; "
            "no image that was answered is asked again"
        )

    def _wait(self, stop: threading.Event) -> None:
        """Wait for this call's turn.

        Raises:
            UnseeError: it is no longer wanted.
        """
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + (0.0 if self.calls.rate is None else 1 / self.calls.rate)
        if stop.wait(turn - now) if turn > now else stop.is_set():
            raise UnseeError("stopped")

    def _hold(self, seconds: float) -> None:
        """Let no call begin for some seconds."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def _trouble(self, address: str, error: Exception) -> str:
        """What to say of a call without an answer.

        Raises:
            UnseeError: it cannot pass: the certificate, the address or a header is wrong.
        """
        known = self._library.exceptions
        words = " ".join(str(error).split())[-_MOST_WORDS:]
        if isinstance(error, known.SSLError | known.LocationValueError | known.InvalidHeader):
            raise UnseeError(f"{address} cannot be called ({words}): check the address") from error
        if isinstance(error, known.TimeoutError) and not isinstance(error, known.NewConnectionError):
            return f"gave no answer in {self.calls.timeout:g} s (timeout in the service file)"
        return f"gave no answer ({type(error).__name__}: {words})"

    def _pause(self, reply: Any) -> float | None:  # noqa: ANN401
        """The pause in seconds that an answer asks for."""
        try:
            found = self._library.Retry().get_retry_after(reply)
        except self._library.exceptions.InvalidHeader:
            return None
        return None if found is None else float(found)


def _refused(address: str, reply: Any, problem: str) -> str:  # noqa: ANN401
    if 300 <= reply.status < 400:
        return f"{address} has moved to {reply.headers.get('Location', 'elsewhere')}: give that address"
    return f"{address} {problem}: {_HINTS.get(reply.status, 'see what it reports about this')}"


def _said(status: int, data: bytes) -> str:
    """The status and the words of an answer that is a failure, in a line."""
    text = data[:4096].decode("utf-8", "replace")
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    if isinstance(parsed, dict):
        text = str(next((parsed[key] for key in ("error", "message", "detail") if parsed.get(key)), text))
    words = " ".join(text.split())[:_MOST_WORDS]
    return f"answered {status}" + (f" ({words})" if words else "")
