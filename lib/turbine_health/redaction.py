"""Keeps secrets out of whatever people and log collectors read."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

HIDDEN = "***"

# `user:password@` of an address, and the signature that gives whoever holds a link access to storage.
_PASSWORD_IN_ADDRESS = re.compile(r"(?<=://)([^:/@\s]*):([^@\s]+)@")
_SIGNATURE = re.compile(r"(?i)([?&](?:sig|token|x-amz-signature|x-amz-security-token)=)[^&\s]+")
_SECRET_VARIABLE = re.compile(r"(?i)(password|passwd|secret|token|credential|access_key|account_key|private_key)")
# Shorter values are words that stand in honest text too.
_SHORTEST_SECRET = 6


def masked(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """The text without passwords of addresses and without the values of variables named like secrets.

    >>> masked("postgresql://planner:s3cret@db:5432/mlflow", {})
    'postgresql://planner:***@db:5432/mlflow'
    >>> masked("refused for hunter22", {"MLFLOW_TRACKING_PASSWORD": "hunter22"})
    'refused for ***'
    """
    for value in _secret_values(environ):
        text = text.replace(value, HIDDEN)
    return _SIGNATURE.sub(rf"\1{HIDDEN}", _PASSWORD_IN_ADDRESS.sub(rf"\1:{HIDDEN}@", text))


def is_secret(name: str) -> bool:
    """Whether an environment variable is named like a secret.

    >>> is_secret("MLFLOW_TRACKING_PASSWORD"), is_secret("HOME")
    (True, False)
    """
    return _SECRET_VARIABLE.search(name) is not None


def _secret_values(environ: Mapping[str, str]) -> list[str]:
    """Longest first, so that a secret that holds another is hidden whole."""
    values = {
        value
        for name, value in environ.items()
        if is_secret(name) and len(value) >= _SHORTEST_SECRET and not os.path.exists(value)
    }
    return sorted(values, key=len, reverse=True)
