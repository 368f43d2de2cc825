"""A block type that the commands register."""

from prefect.blocks.core import Block
from pydantic import SecretStr


class Place(Block):
    """A place with a key."""

    street: str
    key: SecretStr
