"""The load that `make dashboard` watches: callers of five namespaces, TLS that is passed through, clients that are refused, and
policies that change.

Everything happens in threads that end together. Nothing is asserted here.
"""

import http.client
import json
import random
import socket
import ssl
import threading
import time

from rig import CALLERS, CUSTOMS_ID, NEVER_GOOD, POLICIES, REPLICAS, fetch, policy

HOSTS = {
    "demo-frontend": ["www.aliyun.com", "api.example", "cdn.example", "cdn.example"],
    "shop": ["api.psp.example", "eu.parcels.example", "api.psp.example", "unknown.example"],
    "payments": ["bank.example", "bank.example", "files.example"],
    "search": ["a.example", "b.example", "c.example"],
    "lab": ["mirror.example", "pypi.example", "old.example"],
}
PAUSES = {"demo-frontend": 0.02, "shop": 0.03, "payments": 0.05, "search": 0.012, "lab": 0.1}


class Load:
    def __init__(self, rig, length):
        self.rig, self.length, self.over = rig, length, threading.Event()
        self.random = random.Random(7)
        self.answers, self.broken = {}, False
        jobs = [(self.call, name) for name in CALLERS] + [
            (self.call_without_identity,), (self.pass_tls_through,), (self.call_trial_gateway,), (self.misbehave,),
            (self.change_policies,), (self.ask_questions,)]
        self.threads = [threading.Thread(target=self.repeat, args=job, daemon=True) for job in jobs]

    def __enter__(self):
        self.started = time.monotonic()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(30)

    def repeat(self, job, *arguments):
        """Runs a job until the end; a connection that fails is opened again."""
        while not self.over.is_set():
            try:
                job(*arguments)
            except (OSError, http.client.HTTPException):
                self.over.wait(0.2)

    def seconds(self):
        return time.monotonic() - self.started

    def count(self, name, status):
        self.answers[(name, status)] = self.answers.get((name, status), 0) + 1

    def ask(self, name, connection, hosts, path="/", pause=0.02):
        """One connection, until it ends."""
        while not self.over.is_set():
            connection.request("GET", path, headers={"Host": self.random.choice(hosts)})
            answer = connection.getresponse()
            answer.read()
            self.count(name, answer.status)
            # A wave, so that a graph of it is not a straight line.
            wave = 1.6 if int(self.seconds() / 40) % 2 else 1
            self.over.wait(pause * wave * self.random.uniform(0.5, 1.5))

    def client_tls(self, namespace=None):
        context = ssl.create_default_context(cafile=self.rig.certificates / "mesh-ca.pem")
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if namespace:
            context.load_cert_chain(self.rig.certificates / f"{namespace}.pem", self.rig.certificates / f"{namespace}.key")
        return context

    def call(self, namespace):
        connection = http.client.HTTPSConnection("127.0.0.1", self.rig.gateway["mesh"], timeout=10, context=self.client_tls(namespace))
        self.ask(namespace, connection, HOSTS[namespace], pause=PAUSES[namespace])

    def call_without_identity(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.rig.gateway["plaintext"], timeout=10)
        self.ask("without identity", connection, ["www.aliyun.com", "api.example"], pause=0.15)

    def pass_tls_through(self):
        while not self.over.wait(0.3):
            for name in ("api.partner.example", "www.aliyun.com"):
                try:
                    with socket.create_connection(("127.0.0.1", self.rig.gateway["tls"]), 5) as plain:
                        self.client_tls().wrap_socket(plain, server_hostname=name).close()
                except OSError:
                    pass  # denied, or an origin that has no TLS: both end the connection

    def call_trial_gateway(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.rig.trial["plaintext"], timeout=10)
        for path in ("/asked", "/unseen"):
            connection.request("GET", path, headers={"Host": "api.example"})
            answer = connection.getresponse()
            answer.read()
            self.count(f"trial gateway {path}", answer.status)
        self.over.wait(0.4)

    def misbehave(self):
        """Clients without a certificate, with another protocol, and with the certificate of somebody else."""
        port = self.rig.ports[REPLICAS[0]]["checks"]
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as plain:
                plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                plain.recv(100)
        except OSError:
            pass
        for namespace in (None, "lab"):
            context = self.client_tls(namespace)
            context.set_alpn_protocols(["h2"])
            try:
                with socket.create_connection(("127.0.0.1", port), 5) as plain, context.wrap_socket(plain) as secure:
                    secure.recv(100)
            except OSError:
                pass
        self.over.wait(2)

    def change_policies(self):
        """A change every half minute, which reaches the replicas one after the other; and from time to time a source that one of
        them refuses, and certificates that are replaced, or that do not fit their keys. At the end a source is refused."""
        step = int(self.seconds() / 30)
        for name in REPLICAS:
            text = policy("catalogue", "search", f'{{deny: [{{name: beta, hosts: ["beta{step}.example"], reason: "step {step}"}}]}}')
            self.rig.write_policy(name, "search.yaml", text)
            self.over.wait(3)
        self.replace_certificate(fits=step % 2 == 0)
        while int(self.seconds() / 30) == step and not self.over.wait(0.5):
            broken = step % 4 == 2 or self.seconds() > self.length - 25
            if broken != self.broken:
                self.rig.write_policy(REPLICAS[2], "shop.yaml", NEVER_GOOD if broken else POLICIES["shop.yaml"])
                self.broken = broken

    def replace_certificate(self, fits):
        self.rig.certify("fresh", CUSTOMS_ID, days=1 + self.random.randrange(20))
        folder = self.rig.scratch / REPLICAS[1] / "tls"
        for file in ["customs.pem", "customs.key"] if fits else ["customs.pem"]:
            beside = folder / "beside"
            beside.write_bytes((self.rig.certificates / file.replace("customs", "fresh")).read_bytes())
            beside.rename(folder / file)

    def ask_questions(self):
        url = f"http://127.0.0.1:{self.rig.ports[REPLICAS[0]]['admin']}/explain"
        question = json.dumps({"from": "demo-frontend/sleep", "to": "http://www.aliyun.com/"}).encode()
        fetch(url, question, {"content-type": "application/json"})
        self.over.wait(5)
