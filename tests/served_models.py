"""A service on the loopback that answers as it is told, and the model behind it."""

import base64
import io
import json
import threading
import time
from collections import Counter
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

SIZE = 16
CLASSES = ("ant", "bee", "cat", "dog", "elk")
_CELLS = 4


def model(images):
    """Logits of (B,3,16,16) images in [0,1]."""
    weights = np.random.default_rng(3).normal(0, 1, (5, 3 * _CELLS**2)).astype(np.float32)
    side = SIZE // _CELLS
    cells = images.reshape(len(images), 3, _CELLS, side, _CELLS, side).mean((3, 5))
    return (cells.reshape(len(images), -1) @ weights.T).astype(np.float32)


def of_file(data):
    """The image in a file, (1,3,16,16) in [0,1]."""
    return np.asarray(Image.open(io.BytesIO(data)), np.float32).transpose(2, 0, 1)[None] / 255


class Server:
    """Serves the model.

    Args:
        fails: number of a question, from 1 → what to do instead of answering, or None.
        scores: number of a question and right scores → scores that are given.
        token: that every question must have.
        stuck: questions from this one on are answered only when `released` is set.
    """

    def __init__(self, fails=lambda _: None, scores=lambda _, rows: rows, token=None, delay=0.0, stuck=None):
        self.fails, self.scores, self.token, self.delay, self.stuck = fails, scores, token, delay, stuck
        self.questions, self.answered, self.headers, self.batches, self.times = 0, Counter(), [], [], []
        self.busy = self.busiest = 0
        self.lock, self.released, self.is_stuck = threading.Lock(), threading.Event(), threading.Event()
        self.named = self.top = None
        self.metadata = {
            "name": "tiny",
            "inputs": [{"name": "pixels", "datatype": "FP32", "shape": [-1, 3, SIZE, SIZE]}],
            "outputs": [{"name": "logits", "datatype": "FP32", "shape": [-1, 5]}],
        }

    def __enter__(self):
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version, wbufsize, disable_nagle_algorithm = "HTTP/1.1", 1 << 16, True

            def log_message(self, *_):
                pass

            def do_GET(self):
                _reply(self, 200, json.dumps(owner.metadata).encode())

            def do_POST(self):
                owner.answer(self)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads, self.http.block_on_close = True, False
        self.http.handle_error = lambda *_: None
        self.at = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.released.set()
        self.http.shutdown()
        self.http.server_close()

    @property
    def repeated(self):
        """How many images were answered again, each time."""
        return sum(count - 1 for count in self.answered.values())

    def answer(self, handler):
        data = handler.rfile.read(int(handler.headers["Content-Length"]))
        with self.lock:
            self.questions += 1
            number = self.questions
            self.busy += 1
            self.busiest = max(self.busy, self.busiest)
            self.times.append(time.monotonic())
            self.headers.append(dict(handler.headers))
        try:
            self._answer(handler, data, number)
        finally:
            with self.lock:
                self.busy -= 1

    def _answer(self, handler, data, number):
        time.sleep(self.delay)
        if self.stuck is not None and number >= self.stuck:
            self.is_stuck.set()
            self.released.wait()
            handler.close_connection = True
            return
        if self.token and handler.headers.get("Authorization") != f"Bearer {self.token}":
            _reply(handler, 401, b'{"error": "no token"}')
            return
        failure = self.fails(number)
        if failure == "drop":
            handler.connection.close()
            handler.close_connection = True
        elif isinstance(failure, bytes):
            _reply(handler, 200, failure)
        elif failure is not None:
            _reply(handler, *failure)
        else:
            images, kind = self._images(urlsplit(handler.path).path, handler.headers, data)
            rows = np.asarray(self.scores(number, model(images)))
            with self.lock:
                self.batches.append(len(images))
                self.answered.update(sha256(image.tobytes()).hexdigest() for image in images)
            _reply(handler, 200, *self._packed(kind, rows))

    def _images(self, path, headers, data):
        if path.startswith("/v2/"):
            head = int(headers.get("Inference-Header-Content-Length", len(data)))
            request = json.loads(data[:head])
            tensor = request["inputs"][0]
            assert tensor["name"] == self.metadata["inputs"][0]["name"]
            kind = {"FP32": np.float32, "UINT8": np.uint8}[tensor["datatype"]]
            raw = np.frombuffer(data[head:], kind) if head < len(data) else np.asarray(tensor["data"], kind)
            images = raw.reshape(tensor["shape"])
            images = images.transpose(0, 3, 1, 2) if images.shape[3] == 3 else images
            return (images / 255 if kind is np.uint8 else images).astype(np.float32), "binary" if head < len(
                data
            ) else "kserve"
        if path.startswith("/predictions/"):
            return of_file(data), "torchserve"
        found = json.loads(data)
        if "url" in found:
            return of_file(base64.b64decode(found["url"].partition(",")[2])), "json"
        return np.asarray(found["instances"], np.float32), "json"

    def _packed(self, kind, rows):
        if kind == "binary":
            raw = rows.astype("<f4").tobytes()
            tensor = {"name": "logits", "datatype": "FP32", "shape": list(rows.shape)}
            head = json.dumps(
                {"outputs": [{**tensor, "parameters": {"binary_data_size": len(raw)}}]}
            ).encode()
            return head + raw, {"Inference-Header-Content-Length": str(len(head))}
        if kind == "kserve":
            tensor = {"name": "logits", "datatype": "FP32", "shape": list(rows.shape)}
            return (json.dumps({"outputs": [{**tensor, "data": rows.ravel().tolist()}]}).encode(),)
        if kind == "torchserve":
            named = dict(zip(self.named or CLASSES, rows[0].tolist(), strict=True))
            best = sorted(named, key=named.get, reverse=True)[: self.top]
            return (json.dumps({name: named[name] for name in best}).encode(),)
        return (json.dumps({"predictions": [{"scores": row} for row in rows.tolist()]}).encode(),)


def _reply(handler, status, data, headers=()):
    handler.send_response(status)
    for name, value in dict(headers).items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)
    handler.wfile.flush()


def explained(address, service, batches):
    """What a process does that is going to be killed: it asks one batch of images after the other."""
    import torch

    from unsee.models import load

    network = load(address, service=service, device="cpu")
    for seed in range(batches):
        network.probabilities(torch.rand(6, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed)))
