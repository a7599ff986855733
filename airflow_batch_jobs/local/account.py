"""The one account that a local AWS has: its names for things, and who may use it."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field


def _random_key(prefix: str) -> str:
    return prefix + base64.b32encode(secrets.token_bytes(20)).decode()


@dataclass(slots=True)
class Account:
    """An account id, a region, and the valid access keys.

    Attributes:
        id: Twelve digits.
        region: The region in every ARN. Clients may name another: this endpoint answers for all.
        access_key: What every request has to carry; a random one if none is given.
        secret_key: What clients sign with. Signatures are not checked: the access key is the secret.
    """

    id: str = "123456789012"
    region: str = "us-east-1"
    access_key: str = ""
    secret_key: str = field(default_factory=lambda: _random_key(""))
    #: When the keys issued by AssumeRole expire, in seconds since the epoch.
    _ends_at: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.access_key = self.access_key or _random_key("LOCAL")

    def arn(self, resource: str, service: str = "batch") -> str:
        """Return the ARN of a resource: `arn("job/…")`."""
        region = "" if service in {"iam", "sts"} else self.region
        return f"arn:aws:{service}:{region}:{self.id}:{resource}"

    def issue_key(self, until: float) -> tuple[str, str]:
        """Issue another access key and its secret key.

        Args:
            until: When it expires, in seconds since the epoch.
        """
        while len(self._ends_at) >= _MOST_ISSUED_KEYS:
            del self._ends_at[next(iter(self._ends_at))]
        key = _random_key("ASIA")
        self._ends_at[key] = until
        return key, _random_key("")

    def holds(self, key: str) -> bool:
        """Tell whether an access key belongs to this account, expired or not."""
        return secrets.compare_digest(key.encode(), self.access_key.encode()) or key in self._ends_at

    def is_over(self, key: str, now: float) -> bool:
        """Tell whether an access key has expired."""
        return key in self._ends_at and now >= self._ends_at[key]


#: The oldest key is dropped when one more is asked for.
_MOST_ISSUED_KEYS = 1000
