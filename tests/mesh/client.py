"""The application in a pod: asks for a URL as curl would, through the pod's sidecar.

Is: HTTP/1.1 and TLS to the port of the sidecar at which iptables would deliver the connection. The answer says what the
client saw, and how long it took.

Is not: name resolution or redirection; a request names its host in the URL, and nothing else decides where it goes.
"""

import http.client
import shlex
import socket
import ssl
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .ports import LOOPBACK

SHOWN = ("x-customs-reason", "x-site")


@dataclass(frozen=True)
class Answer:
    """What a client saw: a status and headers, or an error."""

    status: int | None
    headers: dict = field(default_factory=dict)
    body: str = ""
    error: str | None = None
    seconds: float = 0.0

    @property
    def reached_site(self):
        """Whether the site answered; a proxy cannot have made that answer."""
        return self.headers.get("x-site") == "reached"

    @property
    def reason(self):
        """The reason of customs, if customs denied."""
        return self.headers.get("x-customs-reason")

    def __str__(self):
        if self.status is None:
            return f"no answer: {self.error}"
        seen = [f"{name}: {self.headers[name]}" for name in SHOWN if name in self.headers]
        return ", ".join([str(self.status), *seen])


@dataclass(frozen=True)
class Request:
    """What a client asks for; `host` replaces the URL's host in the Host header."""

    url: str
    method: str = "HEAD"
    headers: dict = field(default_factory=dict)
    host: str | None = None

    def __str__(self):
        options = ["-sI"] if self.method == "HEAD" else ["-si"] if self.method == "GET" else ["-si", "-X", self.method]
        headers = {**({"Host": self.host} if self.host is not None else {}), **self.headers}
        for name, value in headers.items():
            options += ["-H", f"{name}: {value}"]
        return shlex.join(["curl", *options, self.url])


def send(request, envoy):
    """Sends a request from the pod of `envoy` and returns the Answer."""
    url, began = urlsplit(request.url), time.monotonic()
    port = url.port or (443 if url.scheme == "https" else 80)
    headers = {"Host": request.host if request.host is not None else url.netloc, **request.headers}
    try:
        connection = http.client.HTTPConnection(LOOPBACK, timeout=30)
        connection.sock = socket.create_connection((LOOPBACK, envoy.listener_port(port)), 30)
        try:
            if url.scheme == "https":
                connection.sock = _tls().wrap_socket(connection.sock, server_hostname=url.hostname)
            connection.putrequest(request.method, url.path or "/", skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            body = response.read().decode(errors="replace")
            seen = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, seen, body, seconds=time.monotonic() - began)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        return Answer(None, error=_words(error), seconds=time.monotonic() - began)


def _tls():
    """The site's certificate is not what these tests are about."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _words(error):
    if isinstance(error, (ssl.SSLError, ConnectionError, http.client.HTTPException)):
        return "the connection was closed"
    return "no answer in time" if isinstance(error, TimeoutError) else f"{error}"
