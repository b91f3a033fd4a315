"""When each stage of compression begins, and how much of it is done in which epoch. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tuning_trainer.config.compress import Channels, Compress, Prune
from tuning_trainer.config.errors import SettingError

DEFAULT_SHARE = 4
"""A stage has this part of all epochs where nobody says how many."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The epochs, from 0, in which the stages begin; None for a stage that there is not."""

    channels: int | None
    prune: int | None
    quantize: int | None
    """Where training with rounded numbers begins; the number of all epochs where only the result is rounded."""
    channel_ramp: int
    """Epochs of the stage over which the share of the channels rises; at least 1."""
    prune_ramp: int

    @property
    def first(self) -> int | None:
        """The epoch in which the first stage begins."""
        return min((e for e in (self.channels, self.prune, self.quantize) if e is not None), default=None)

    @property
    def settled(self) -> int:
        """The epoch from whose beginning on nothing changes any more but by training."""
        ends = [0]
        if self.channels is not None:
            ends.append(self.channels + self.channel_ramp - 1)
        if self.prune is not None:
            ends.append(self.prune + self.prune_ramp - 1)
        if self.quantize is not None:
            ends.append(self.quantize)
        return max(ends)


def plan(compress: Compress, *, epochs: int) -> Plan:
    """The plan of a training of `epochs`. Raises `SettingError` where the stages need more epochs than there are."""
    quarter = max(1, epochs // DEFAULT_SHARE)
    channels, prune, quantize = compress.channels, compress.prune, compress.quantize
    lengths = {
        "channels": (channels.epochs or quarter) if channels.share else 0,
        "prune": (prune.epochs or quarter) if prune.share else 0,
        "quantize": 0,
    }
    if quantize.bits != 32:
        lengths["quantize"] = (quarter if quantize.bits == 1 else 0) if quantize.epochs is None else quantize.epochs
    if sum(lengths.values()) > epochs:
        told = ", ".join(f"compress.{stage} {length}" for stage, length in lengths.items() if length)
        raise SettingError(
            f"train.epochs is {epochs}, but the stages of compression take more: {told}; they are the last epochs of "
            "train.epochs: give it more, or the stages fewer by their own `epochs`"
        )
    begin = epochs - sum(lengths.values())
    begins = {}
    for stage, length in lengths.items():
        begins[stage] = begin
        begin += length
    return Plan(
        channels=begins["channels"] if channels.share else None,
        prune=begins["prune"] if prune.share else None,
        quantize=begins["quantize"] if quantize.bits != 32 else None,
        channel_ramp=_ramp(channels, lengths["channels"]),
        prune_ramp=_ramp(prune, lengths["prune"]),
    )


def cubic(share: float, *, done: int, of: int) -> float:
    """The share after `done` of `of` rises, of Zhu and Gupta (2017): s_f + (s_i - s_f) (1 - (t - t_0) / (n dt))^3 with
    s_i = 0; it rises fast at first, while there is much to choose from.
    """
    return share if done >= of else float(share * (1 - (1 - done / of) ** 3))


def _ramp(stage: Channels | Prune, length: int) -> int:
    return max(1, round(stage.ramp * length))
