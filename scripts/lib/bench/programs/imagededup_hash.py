"""``python imagededup_hash.py FOLDER PROCESSES``: the pHash of every file, by imagededup."""

import sys

from imagededup_alone import hasher

if __name__ == "__main__":
    found = hasher().encode_images(image_dir=sys.argv[1], num_enc_workers=int(sys.argv[2]))
    print(len(found))
