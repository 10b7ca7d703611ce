"""certificates: a self-signed certificate for this machine's loopback, which a test hands to clients as the one they trust."""
import ssl
import subprocess


class Certificate:
    """Files `chain.pem` and `key.pem` in a directory. issue() makes another one in their place, for another common name."""

    def __init__(self, directory, name="first"):
        self.chain, self.key = directory / "chain.pem", directory / "key.pem"
        self.issue(name)

    def issue(self, name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", self.key, "-out", self.chain, "-days", "2", "-subj", f"/CN={name}",
                        "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"], check=True, capture_output=True)

    @property
    def env(self):
        return {"SB_TLS_CERTIFICATE": str(self.chain), "SB_TLS_KEY": str(self.key)}

    def trust(self):
        """For a client that trusts what stands in the files now."""
        return ssl.create_default_context(cafile=str(self.chain))
