"""The engine: stages over items, committed chunk by chunk, marked in a checkpoint, run by workers.

It knows nothing of images or HTTP and imports only the standard library, lmdb, msgpack and zlib-ng.
"""
