"""Export: the kept images of a job as a folder of JPEGs with a ``metadata.jsonl``.

    stage = ExportStage(batches, hashes, out, options.quality)
    kept = Kept(table, shards, options.limit)
    prepare(stage, kept, checkpoint, job)
    run(stage, kept.work(), checkpoint)
    finish(stage, kept, checkpoint, manifests)

Repeat it at will: what is there and right is left alone, to the byte.
"""

from .kept import Kept
from .options import ExportOptions
from .stage import ExportStage
from .update import Exported, finish, prepare

__all__ = ["ExportOptions", "ExportStage", "Exported", "Kept", "finish", "prepare"]
