"""URL lists: files, folders, globs, standard input and remote files, turned into a stream of rows.

options    what a user can say about lists
reading    names -> rows: the way through all that follows
places     names -> files
remote     files that are elsewhere, through fsspec
streams    files -> bytes, unpacked
lines      bytes -> lines of bounded length
text       one URL a line                        tables     csv and tsv
objects    json and jsonl                        parquet    parquet, through pyarrow
digests    the digests that images must have
columns    which column is the URL, which others are carried
values     what is carried -> JSON values
records    records -> rows; malformed ones too
shuffle    rows in another order
"""
