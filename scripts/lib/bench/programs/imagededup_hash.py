"""``python imagededup_hash.py FOLDER PROCESSES [HASHES]``: the pHash of every file, by imagededup.

HASHES: where they are written, one a line.
"""

import sys
from pathlib import Path

from imagededup_alone import hasher

if __name__ == "__main__":
    found = hasher().encode_images(image_dir=sys.argv[1], num_enc_workers=int(sys.argv[2]))
    for file in sys.argv[3:]:
        Path(file).write_text("".join(f"{phash}\n" for phash in found.values()))
    print(len(found))
