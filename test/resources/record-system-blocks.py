"""
Prints the schemas of the blocks of the system as Prefect's client registers them, without their descriptions and examples.

    python test/resources/record-system-blocks.py > test/resources/system-blocks.json
"""

import json

from prefect.blocks.system import Secret
from prefect.blocks.webhook import Webhook
from prefect.filesystems import LocalFileSystem


def without_words(value):
    if not isinstance(value, dict):
        return value
    return {key: without_words(inner) for key, inner in value.items() if key not in ("description", "examples")}


blocks = []
for block in (Secret, Webhook, LocalFileSystem):
    schema = block._to_block_schema()
    blocks.append(
        {
            "checksum": schema.checksum,
            "version": schema.version,
            "capabilities": sorted(schema.capabilities),
            "fields": without_words(schema.fields),
        }
    )
print(json.dumps(blocks))
