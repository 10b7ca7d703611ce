"""certificates: a self-signed certificate for this machine's loopback, which a test hands to clients as the one they trust;
and an authority, made for the test, that signs those of voice nodes."""
import ssl
import subprocess

EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Certificate:
    """Files `chain.pem` and `key.pem` in a directory. issue() makes another one in their place, for another common name."""

    def __init__(self, directory, name="first"):
        self.chain, self.key = directory / "chain.pem", directory / "key.pem"
        self.issue(name)

    def issue(self, name):
        openssl("req", "-x509", *EC, "-keyout", self.key, "-out", self.chain, "-subj", f"/CN={name}",
                "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost")

    @property
    def env(self):
        return {"SB_TLS_CERTIFICATE": str(self.chain), "SB_TLS_KEY": str(self.key)}

    def trust(self):
        """For a client that trusts what stands in the files now."""
        return ssl.create_default_context(cafile=str(self.chain))


class Authority:
    """`chain.pem` is what clients are told to trust."""

    def __init__(self, directory):
        self.directory, self.chain, self.key = directory, directory / "authority.pem", directory / "authority.key.pem"
        self.extensions = directory / "authority.cnf"
        self.extensions.write_text("[req]\ndistinguished_name = name\n[name]\n"
                                   "[authority]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign\n"
                                   "subjectKeyIdentifier = hash\n")
        openssl("req", "-x509", *EC, "-config", self.extensions, "-extensions", "authority", "-keyout", self.key,
                "-out", self.chain, "-subj", "/CN=Authority of a test")

    def issue(self, name, address):
        """Signs a certificate for an IP address; returns the settings of a service that shows it."""
        chain, key, extensions = (self.directory / f"{name}.{end}" for end in ("pem", "key.pem", "cnf"))
        extensions.write_text("[req]\ndistinguished_name = name\n[name]\n[node]\nbasicConstraints = CA:FALSE\n"
                              f"subjectAltName = IP:{address}\nauthorityKeyIdentifier = keyid\n")
        openssl("req", "-x509", *EC, "-config", extensions, "-extensions", "node", "-CA", self.chain, "-CAkey", self.key,
                "-keyout", key, "-out", chain, "-subj", f"/CN={name}")
        return {"SB_TLS_CERTIFICATE": str(chain), "SB_TLS_KEY": str(key)}

    def trust(self):
        """For a client that trusts it."""
        return ssl.create_default_context(cafile=str(self.chain))
