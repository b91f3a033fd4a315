"""Settings of encryption: whether what a trial leaves on disk can be read by others."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tuning_trainer.config.base import Section


class Encryption(Section):
    """Checkpoints and exports encrypted with a key file (AES-256-GCM). Such files end in `.enc`;
    `python -m tuning_trainer --decrypt FILE --key-file KEY` reads them.

    The model card, the learning curve and the evaluation files hold metrics only and stay readable.
    """

    key_file: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """File with the key: 32 bytes, as they are, in hexadecimal or in base64. Mount it from a Secret; null: nothing is
    encrypted.
    """
