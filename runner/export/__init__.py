"""Export: the kept images of a job as a dataset, in one of several formats, in a folder or elsewhere.

    planned = plan(options, manifests)                     what the format needs to know
    claim(output, job, checkpoint, options.format)
    exporter = planned.exporter(contents, wanted, output, checkpoint)
    for part in exporter.runs(): run(part.stage, part.work, checkpoint)
    exporter.finish()
    write_card(output, checkpoint, card(...))

    folder.py, stage.py, update.py    an image file each: names and renames, the stage, bringing up to date
    shards.py                         a file per shard: the same; webdataset.py, parquet.py: what is in it
    tables.py                         metadata alone
    metadata.py, column_types.py      what is told of an image
    card.py, host_counts.py           what is told of the whole
    formats.py, exporter.py           one of these for each format
    contents.py, kept.py              what goes into an export
    output.py, remote.py              where it goes

Repeat it at will: what is there and right is left alone, to the byte. Nothing is imported here, so that a
worker which writes images as they are needs neither numpy nor Pillow.
"""
