"""The endpoint as the sample scripts have it: each notification runs a script, which logs in twice and fetches.

`GET /pws?id=...` runs `sample_fetch.py`, and answers when it has ended; `GET /presence/CONTACT` answers with the last
state that a script printed. With Flask where it is installed, else with the standard library's server. Settings: the
port of the simulator, and where to listen.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

_SCRIPT: Final = str(Path(__file__).with_name("sample_fetch.py"))
_found: dict[str, str] = {}


def notified(server: str, subscription: str) -> None:
    """Run the script."""
    words = [sys.executable, _SCRIPT, server, subscription, "BASIC_PRESENCE"]
    printed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    _found.update(dict(line.split(" ") for line in printed.splitlines()))


def with_flask(server: str, port: int) -> None:
    """Serve with Flask's own server, as the sample does."""
    import flask

    app = flask.Flask("endpoint")

    @app.route("/pws")
    def _notified() -> str:
        notified(server, flask.request.args["id"])
        return ""

    @app.route("/presence/<contact>")
    def _presence(contact: str) -> str:
        return _found.get(contact, "")

    app.run("127.0.0.1", port)


def with_the_standard_library(server: str, port: int) -> None:
    """Serve without Flask."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from urllib.parse import parse_qs, urlsplit

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the library's name
            parts = urlsplit(self.path)
            body = b""
            if parts.path == "/pws":
                notified(server, parse_qs(parts.query)["id"][0])
            else:
                body = _found.get(parts.path.rpartition("/")[2], "").encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            """Log nothing."""

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def main() -> None:
    """Serve until killed."""
    settings = json.loads(sys.argv[1])
    try:
        import flask  # noqa: F401  # only whether it is there
    except ImportError:
        with_the_standard_library(settings["server"], settings["port"])
    else:
        with_flask(settings["server"], settings["port"])


if __name__ == "__main__":
    main()
