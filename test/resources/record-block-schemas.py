"""
Prints the schemas of blocks as Prefect's client registers them, with the checksums that it computes.

    python test/resources/record-block-schemas.py > test/resources/block-schemas.json
"""

import json
from typing import Dict, List, Literal, Optional, Union

from prefect.blocks.core import Block
from pydantic import BaseModel, Field, SecretStr


class Nozzle(BaseModel):
    width: float = 1.0
    angle: Optional[float] = 1e-7


class Valve(BaseModel):
    nozzles: List[Nozzle] = []
    label: str = "Ventil ÄÖÜ \u20ac \U0001f6b0 \ufffd"


class Pipe(Block):
    _block_type_name = "Own Pipe"
    _block_type_slug = "own-pipe"
    width: int = 12345678901234567890
    valve: Valve = Valve()


class Tank(Block):
    _block_type_name = "Own Tank"
    _block_type_slug = "own-tank"
    _block_schema_capabilities = ["store", "fill"]
    password: SecretStr
    labels: Dict[str, str] = {}
    kind: Literal["round", "square"] = "round"


class Pump(Block):
    _block_type_name = "Own Pump"
    _block_type_slug = "own-pump"
    pipe: Pipe
    token: SecretStr = Field(default=SecretStr(""), description="A \"quoted\" text\n\twith \x7f")


class House(Block):
    _block_type_name = "Own House"
    _block_type_slug = "own-house"
    _block_schema_version = "1.2.3"
    pump: Pump
    source: Union[Tank, Pipe]
    spare: Optional[Tank] = None


schemas = []
for block in (House, Pump, Tank, Pipe):
    schema = block._to_block_schema()
    schemas.append(
        {
            "name": block._block_type_name,
            "slug": block._block_type_slug,
            "checksum": schema.checksum,
            "version": schema.version,
            "capabilities": schema.capabilities,
            "fields": schema.fields,
        }
    )
print(json.dumps(schemas))
