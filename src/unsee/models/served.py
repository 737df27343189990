"""Models behind an address, by http or https. They give scores, and no gradient."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from unsee.class_names import class_names_of
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.models.request import Request
from unsee.models.serving.account import Account
from unsee.models.serving.calls import Caller
from unsee.models.serving.form import BYTES, KSERVE, keys_of, values_of
from unsee.models.serving.formats import format_of
from unsee.models.serving.kept_answers import Kept, KeptAnswers
from unsee.models.serving.metadata import stated_by
from unsee.models.serving.service_file import Service, read_service
from unsee.network_wrappers import ClosedNetwork, wanted_afresh
from unsee.probes import differ


class ServedNetwork(ClosedNetwork):
    """Asks a service for the scores of images that it was not asked before.

    Args:
        address: of the model.
        service: how it is asked, complete.
        names: of the classes, for answers by name.
        parts: how it is called, what it was asked, and what it answered; made by default.
    """

    def __init__(
        self,
        address: str,
        service: Service,
        names: Sequence[str] | None = None,
        parts: tuple[Caller, Account, KeptAnswers] | None = None,
    ) -> None:
        super().__init__()
        self.address, self.service, self.names = address, service, names
        self.format = format_of(address, service.form, names)
        if parts is None:
            bounds = Account(service.most_images, service.price, address)
            parts = Caller(service.calls, address), bounds, KeptAnswers(service.cache)
        self.caller, self.count, self.kept = parts

    @property
    def account(self) -> str:
        """How many images were asked and how many not, and the cost, in this process."""
        return self.count.line

    @property
    def asked(self) -> int:
        """Images that the service was asked in this process."""
        return self.count.asked

    @property
    def from_cache(self) -> int:
        """Images that it was not asked, since their answers were known."""
        return self.count.from_cache

    def forward(self, images: Tensor) -> Tensor:
        """The scores of (B,C,H,W) images, in float32 and without a gradient.

        Equal images are asked once, and images that were asked before not at all. What was answered is kept
        at once, also if another image fails.

        Raises:
            UnseeError: the service fails, does not give a row of finite scores for each image, answers an
                image otherwise than before, or must not be asked so many images.
        """
        values = values_of(images, self.service.form)
        keys = keys_of(values, self.address, self.service.form)
        distinct = dict(zip(keys, values, strict=True))
        again = wanted_afresh() and (len(images) == 1 or self.service.batch > 1)
        known = self.kept.find(list(distinct))
        missing = distinct if again else {key: distinct[key] for key in distinct if key not in known}
        found = self._asked(missing)
        if again and len(images) == 1 and keys[0] in known:
            self._compare(known[keys[0]], found[keys[0]])
        self.count.keep(len(images) - len(missing))
        rows = [found[key] if key in found else known[key].scores for key in keys]
        if len({len(row) for row in rows}) > 1:
            raise UnseeError(
                f"{self.address} gave {len(rows[0])} scores for one image, and another number for another: "
                f"it has changed; remove what it answered, {self.kept.file}"
            )
        return torch.from_numpy(np.stack(rows)).to(images.device)

    def _asked(self, missing: dict[bytes, np.ndarray]) -> dict[bytes, Float32[np.ndarray, " k"]]:
        """The answers to images, asked some at a time in several threads."""
        keys, size = list(missing), self.service.batch
        groups = [keys[first : first + size] for first in range(0, len(keys), size)]
        found: dict[bytes, np.ndarray] = {}
        if not groups:
            return found
        stop, pool = Event(), ThreadPoolExecutor(min(self.service.calls.concurrency, len(groups)))
        try:
            tasks = [pool.submit(self._call, {key: missing[key] for key in group}, stop) for group in groups]
            for task in as_completed(tasks):
                found |= task.result()
        except UnseeError:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
        finally:  # calls that have begun are paid: after Ctrl-C they end on their own, and are kept
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
        return found

    def _call(self, part: dict[bytes, np.ndarray], stop: Event) -> dict[bytes, Float32[np.ndarray, " k"]]:
        self.count.ask(len(part))
        question = self.format.question(list(part.values()))
        reply = self.caller.call("POST", question.address, question.body, question.headers, stop)
        scores = self.format.scores(reply, len(part)).numpy()
        found = dict(zip(part, scores, strict=True))
        self.kept.keep(found)
        return found

    def _compare(self, before: Kept, now: Float32[np.ndarray, " k"]) -> None:
        """Refuse a service that answers an image otherwise than before.

        Raises:
            UnseeError: it does, and its file does not say that it may.
        """
        old, new = torch.from_numpy(before.scores.copy()), torch.from_numpy(now)
        if self.service.varies or (old.shape == new.shape and not differ(old, new, old, on_gpu=True)):
            return
        place = 0 if old.shape != new.shape else int((old - new).abs().argmax())
        when = datetime.fromtimestamp(before.when).isoformat(" ", "seconds")
        raise UnseeError(
            f"{self.address} answers the same image otherwise than before: {len(old)} scores, class {place} "
            f"{float(old[place]):.6g} at {when}, now {len(new)} scores, {float(new[place]):.6g}: if another "
            f"model is behind it, remove what the old one answered, {self.kept.file}; if it is random, write "
            "varies = true into the service file"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return ServedNetwork, (self.address, self.service, self.names)

    def __deepcopy__(self, memo: dict[int, Any]) -> "ServedNetwork":
        copied = ServedNetwork(self.address, self.service, self.names, (self.caller, self.count, self.kept))
        copied.training = self.training
        return copied


def load(request: Request) -> Classifier:
    """A model behind an address.

    Raises:
        UnseeError: urllib3 is missing, the address or the service file is wrong, the service does not say
            what it takes, or nothing says how its images are normalised.
    """
    address = _address(request.name)
    service = read_service(request.service, address)
    known: dict[str, Any] = {}
    if service.form.format == KSERVE:
        address = address.removesuffix("/infer")
        known, service = stated_by(Caller(service.calls, address), address, service)
    if service.form.whole:
        known["value_range"] = BYTES
    given = request.over({**known, **service.network})
    if service.form.whole and ({"mean", "std"} & given.keys() or tuple(given["value_range"]) != BYTES):
        raise UnseeError(
            f"{address} is sent whole numbers from 0 to 255: leave out mean, std and value range, or write "
            'image = "float32" into the service file'
        )
    if not service.form.whole and not {"mean", "std", "value_range"} & given.keys():
        raise UnseeError(
            f"nothing says how images for {address} are normalised: give mean= and std= (--mean, --std; 0 "
            "and 1 if it takes values in [0,1]), or write them into the service file"
        )
    net = ServedNetwork(address, service, class_names_of(given.get("class_names")))
    return Classifier(net.eval(), name=request.name, facts={"service": service.form.record}, **given)


def _address(name: str) -> str:
    """The address in a model's name.

    Raises:
        UnseeError: it has no host, or holds a password, which results would show.
    """
    try:
        parts = urlsplit(name)
        host, secret = parts.hostname, parts.username or parts.password
        _ = parts.port
    except ValueError as error:
        raise UnseeError(f"{name} is no address ({error}): write http://host:port/path") from error
    if not host:
        raise UnseeError(f"{name} is no address: write http://host:port/path")
    if secret:
        raise UnseeError(
            "the address has a user or password in it, which results would show: write a header such as "
            'Authorization = "Basic ${NAME}" into the service file'
        )
    return parts._replace(fragment="").geturl().rstrip("/")
