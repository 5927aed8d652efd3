"""The certificate authority of the mesh, the API server and the site.

Is: one throw-away key pair and certificates for names, addresses and SPIFFE ids, as istiod would sign them.

Is not: istiod's own authority, which is turned off: nobody here calls it.
"""

import datetime
import ipaddress
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Authority:
    """Signs certificates into files of `folder`."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True)
        self._lock = threading.Lock()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the authority of a test")])
        root = self._builder(self._name, self._key.public_key())
        root = root.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        root = root.add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
        self.root = folder / "root.pem"
        self.root.write_bytes(root.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject, public_key):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder(issuer_name=self._name, subject_name=subject, public_key=public_key)
        return (
            builder.serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    def issue(self, label, names=(), addresses=(), identities=(), common_name=None):
        """Returns the files of a certificate and of its key, made at the first call for `label`."""
        chain, key_file = self.folder / f"{label}.pem", self.folder / f"{label}.key"
        with self._lock:
            if not chain.exists():
                self._sign(chain, key_file, names, addresses, identities, common_name)
        return chain, key_file

    def _sign(self, chain, key_file, names, addresses, identities, common_name):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])
        alternatives = [x509.DNSName(name) for name in names]
        alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        alternatives += [x509.UniformResourceIdentifier(identity) for identity in identities]
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = self._builder(subject, key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        key_file.write_bytes(private)
        # The certificate is written last: a reader that finds it finds the key too.
        chain.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
