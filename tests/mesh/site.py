"""The internet: one site in place of every external host, over HTTP and over TLS.

Is: a server that answers 301, as www.aliyun.com does over HTTP, and remembers what reached it: the host, the path, the SNI.
A test can so tell an answer of the site from one that a proxy made.

Is not: a web server; it knows one answer.
"""

import socketserver
import ssl
import threading
from dataclasses import dataclass

from .ports import LOOPBACK

ANSWER = (
    b"HTTP/1.1 301 Moved Permanently\r\nserver: the-site\r\nlocation: https://www.aliyun.com/\r\n"
    b"x-site: reached\r\ncontent-length: 0\r\n\r\n"
)


@dataclass(frozen=True)
class Visit:
    """A request that reached the site."""

    host: str
    path: str
    tls: bool
    sni: str | None
    headers: dict


class Site:
    """Both servers; `visits` lists what reached them."""

    def __init__(self, ports, authority):
        self.visits = []
        self.port, self.tls_port = ports.take(), ports.take()
        # Every name that tests go to: a client that verifies the certificate must be able to.
        names = ["www.aliyun.com", "*.aliyun.com", "*.example", "*.psp.example", "www.alibabacloud.com", "*.alibabacloud.com"]
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*authority.issue("site", names=names))
        self._context.sni_callback = lambda sock, name, _context: setattr(sock, "asked_for", name)
        self._servers = [self._serve(self.port, None), self._serve(self.tls_port, self._context)]

    def _serve(self, port, context):
        visits = self.visits

        class Handler(socketserver.StreamRequestHandler):
            timeout = 30

            def setup(self):
                if context:
                    self.request.settimeout(self.timeout)
                    self.request = context.wrap_socket(self.request, server_side=True)
                super().setup()

            def handle(self):
                while request := self.rfile.readline():
                    headers = {}
                    while line := self.rfile.readline().strip():
                        name, _, value = line.decode("latin-1").partition(":")
                        headers[name.lower()] = value.strip()
                    self.rfile.read(int(headers.get("content-length", 0)))
                    path = request.decode("latin-1").split(" ")[1]
                    sni = getattr(self.request, "asked_for", None)
                    visits.append(Visit(headers.get("host", ""), path, context is not None, sni, headers))
                    self.wfile.write(ANSWER)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request, client_address):
                pass  # a client that goes away, or no TLS: not the site's concern

        server = Server((LOOPBACK, port), Handler)
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        return server

    def close(self):
        for server in self._servers:
            server.shutdown()
            server.server_close()
