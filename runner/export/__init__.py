"""Export: the kept images of a job as a folder of JPEGs with a ``metadata.jsonl``.

    stage = ExportStage(batches, hashes, out, options.quality)
    claim(stage.out, job, checkpoint, stage.name)
    kept = Kept(table, shards, options.limit)
    prepare(stage, kept, checkpoint)
    run(stage, kept.work(), checkpoint)
    finish(stage, kept, checkpoint, manifests)

Repeat it at will: what is there and right is left alone, to the byte.
"""

from .folder import claim
from .kept import Kept
from .options import ExportOptions
from .stage import ExportStage
from .update import Exported, finish, prepare

__all__ = ["ExportOptions", "ExportStage", "Exported", "Kept", "claim", "finish", "prepare"]
