"""Export: the kept images of a job as a folder of image files with a ``metadata.jsonl``.

    stage = ExportStage(batches, hashes, out, options.rendering)
    claim(stage.out, job, checkpoint, stage.name)
    kept = Kept(table, shards, options)
    prepare(stage, kept, checkpoint)
    run(stage, kept.work(), checkpoint)
    finish(stage, kept, checkpoint, manifests)

Repeat it at will: what is there and right is left alone, to the byte. Nothing is imported here, so that a
worker which writes images as they are needs neither numpy nor Pillow.
"""
