"""Chromium without a window, driven by its DevTools protocol over two pipes."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    """One page. requests: the addresses that it has asked for. said: errors on its console."""

    def __init__(self, answers: int, commands: int) -> None:
        self._answers, self._commands = answers, commands
        self._number = 0
        self._rest = b""
        self.requests: list[str] = []
        self.said: list[str] = []
        self._session: dict[str, str] = {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Network", "Runtime", "Log", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command's answer; events that arrive meanwhile are kept."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters, **self._session}
        rest = json.dumps(command).encode() + b"\0"
        while rest:
            rest = rest[os.write(self._commands, rest) :]
        while True:
            message = self._next()
            if message.get("id") == self._number:
                assert "error" not in message, (method, message["error"])
                return dict(message["result"])
            if message.get("method") == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            if message.get("method") == "Log.entryAdded":
                self.said.append(message["params"]["entry"]["text"])
            if message.get("method") == "Runtime.exceptionThrown":
                self.said.append(str(message["params"]["exceptionDetails"]))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._answers, 1 << 20)
            assert more, "the browser has ended"
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))

    def ask(self, expression: str) -> Any:
        """The value of a line of JavaScript."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, (expression, answer)
        return answer["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 60) -> Any:
        """The value of a line of JavaScript, once it is true."""
        until = time.monotonic() + seconds
        while not (found := self.ask(expression)):
            assert time.monotonic() < until, expression
            time.sleep(0.1)
        return found

    def open(self, address: str) -> None:
        """Go to a page and wait until it is there."""
        self.call("Page.navigate", url=address)
        self.wait_for(f"document.readyState === 'complete' && location.href === '{address}'")

    def look(self, width: int, height: int, scheme: str = "light") -> None:
        """As on a screen this wide, in pixels, with light or dark colours."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def mouse(self, kind: str, x: float, y: float) -> None:
        """mousePressed, mouseMoved or mouseReleased, in pixels of the window."""
        self.call(
            "Input.dispatchMouseEvent",
            type=kind,
            x=x,
            y=y,
            button="left",
            buttons=int(kind != "mouseReleased"),
            clickCount=int(kind != "mouseMoved"),
        )

    def stroke(self, points: list[tuple[float, float]]) -> None:
        """Press the mouse at the first point, move along the others, release it at the last."""
        self.mouse("mousePressed", *points[0])
        for point in points[1:]:
            self.mouse("mouseMoved", *point)
        self.mouse("mouseReleased", *points[-1])

    def click(self, selector: str) -> None:
        """A click by the mouse in the middle of an element."""
        box = self.ask(
            f"(() => {{ const e = document.querySelector('{selector}'); e.scrollIntoView(); "
            "const b = e.getBoundingClientRect(); "
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        self.stroke([(box[0], box[1])])

    def choose(self, selector: str, files: list[Path]) -> None:
        """Choose files in an input for them."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def picture(self, file: Path) -> None:
        """The whole page as PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser that ends with the block. profile: a folder of its own."""
    assert CHROMIUM
    to_read, its_answers = os.pipe()
    its_commands, to_write = os.pipe()
    for end in (its_answers, its_commands):
        os.set_inheritable(end, True)
    # It reads commands from 3 and writes answers to 4.
    shell = f'exec "$@" 3<&{its_commands} 4>&{its_answers}'
    command = [
        *("bash", "-c", shell, "bash", CHROMIUM, "--headless", "--no-sandbox"),
        *("--remote-debugging-pipe", "--disable-gpu", f"--user-data-dir={profile}"),
        *("--no-first-run", "--disable-background-networking", "--disable-dev-shm-usage"),
    ]
    running = subprocess.Popen(
        command,
        pass_fds=(its_answers, its_commands),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(its_answers)
    os.close(its_commands)
    try:
        made = Browser(to_read, to_write)
        yield made
        made.call("Browser.close")
    finally:
        running.terminate()
        running.wait(30)
        os.close(to_read)
        os.close(to_write)
