"""The one account that a local AWS has: its names for things, and who may use it."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field


def _random_key(prefix: str, size_bytes: int = 20) -> str:
    return prefix + base64.b32encode(secrets.token_bytes(size_bytes)).decode()


def unique_id(prefix: str, name: str) -> str:
    """Return an id such as IAM gives what has a name: 21 characters, always the same."""
    return prefix + base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()[:17]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who has an access key: a user, or a session of an assumed role.

    Attributes:
        arn: Its ARN.
        user_id: Its unique id.
        account: The account it belongs to.
    """

    arn: str
    user_id: str
    account: str


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
    #: Whose the keys issued by AssumeRole are, and when they expire, in seconds since the epoch.
    _issued: dict[str, tuple[Identity, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.access_key = self.access_key or _random_key("LOCAL")

    def arn(self, resource: str, service: str = "batch") -> str:
        """Return the ARN of a resource: `arn("job/…")`."""
        region = "" if service in {"iam", "sts"} else self.region
        return f"arn:aws:{service}:{region}:{self.id}:{resource}"

    def issue_key(self, identity: Identity, until: float) -> tuple[str, str]:
        """Issue another access key and its secret key.

        Args:
            identity: Whose they are.
            until: When they expire, in seconds since the epoch.
        """
        while len(self._issued) >= _MOST_ISSUED_KEYS:
            del self._issued[next(iter(self._issued))]
        key = _random_key("ASIA", 10)
        self._issued[key] = (identity, until)
        return key, _random_key("", 25)

    def holds(self, key: str) -> bool:
        """Tell whether an access key belongs to this account, expired or not."""
        return secrets.compare_digest(key.encode(), self.access_key.encode()) or key in self._issued

    def is_over(self, key: str, now: float) -> bool:
        """Tell whether an access key has expired."""
        return key in self._issued and now >= self._issued[key][1]

    def is_issued(self, key: str) -> bool:
        """Tell whether an access key is that of an assumed role."""
        return key in self._issued

    def identity_of(self, key: str) -> Identity:
        """Tell who has an access key."""
        if key in self._issued:
            return self._issued[key][0]
        arn = self.arn("user/local", "iam")
        return Identity(arn, unique_id("AIDA", arn), self.id)


#: The oldest key is dropped when one more is asked for.
_MOST_ISSUED_KEYS = 1000
