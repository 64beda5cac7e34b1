"""Whom to trust over HTTPS."""

from __future__ import annotations

import os
import ssl

from perwatt.core.errors import FileError

__all__ = ["CA_FILE", "tls_context"]

CA_FILE = "PERWATT_CA_FILE"
"""Environment variable: a PEM file of certificates to trust besides the system's."""


def tls_context() -> ssl.SSLContext:
    """The system's certificates, or those of `SSL_CERT_FILE`, and those of `PERWATT_CA_FILE`.

    Raises FileError where that file cannot be used.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    path = os.environ.get(CA_FILE)
    if path:
        try:
            context.load_verify_locations(path)
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror if error.strerror else error
            msg = f"The certificates of {CA_FILE}, {path}, cannot be read: {reason}."
            raise FileError(msg, "Name a PEM file with the certificate to trust.") from None
    return context
