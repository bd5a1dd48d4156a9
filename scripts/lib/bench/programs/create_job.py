"""``python create_job.py JOB LIST``: what `runner start` does before it downloads."""

import sys

import runner

if __name__ == "__main__":
    runner.Job.create(sys.argv[1], sys.argv[2], allow_private=True)
