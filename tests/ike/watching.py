"""An observer that keeps what it is told, and all that is secret in the conversations it watches."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from rkmp.ike import Path, Statistic
from rkmp.ike.observation import ObservedKeys, ObservedMessage
from rkmp.ike.trace import describe_drop, describe_message, describe_repetition


@dataclass
class Watch:
    """Everything, in order, as a trace would write it."""

    lines: list[str] = field(default_factory=list)
    messages: list[ObservedMessage] = field(default_factory=list)
    secrets: list[ObservedKeys] = field(default_factory=list)

    def message(self, message: ObservedMessage) -> None:
        self.messages.append(message)
        self.lines.append(describe_message(message))

    def repeated(self, datagrams: tuple[bytes, ...], path: Path | None) -> None:
        self.lines.append(describe_repetition(datagrams, path))

    def dropped(self, datagram: bytes, reason: Statistic, path: Path | None) -> None:
        self.lines.append(describe_drop(datagram, reason, path))

    def keys(self, keys: ObservedKeys) -> None:
        self.secrets.append(keys)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def secret_texts(self) -> set[str]:
        """Return every key of the IKE SAs in hexadecimal."""
        return {
            getattr(observed.keys, key.name).reveal().hex()
            for observed in self.secrets
            for key in fields(observed.keys)
            if len(getattr(observed.keys, key.name))
        }
